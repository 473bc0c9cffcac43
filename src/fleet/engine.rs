//! What engines need to build a fleet, from templates.
