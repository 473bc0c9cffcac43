"""Judges a document by the schema of its format, with the validators of others.

usage: validate.py sbom|provenance|trace FILE

Exit code 0 if it is valid; 1, and why on stderr, if it is not. Asks no network.
"""

import json
import sys


def sbom(text):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from packageurl import PackageURL

    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if wrong is not None:
        raise ValueError(str(wrong))

    # The schema takes any text for a package URL, and any for a reference.
    document = json.loads(text)
    whole = document["metadata"]["component"]
    known = {whole["bom-ref"]}
    for component in [whole, *document["components"]]:
        PackageURL.from_string(component["purl"])
        known.add(component["bom-ref"])
    for dependency in document["dependencies"]:
        for reference in [dependency["ref"], *dependency.get("dependsOn", [])]:
            if reference not in known:
                raise ValueError(f"nothing is called {reference}")


def provenance(text):
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    message = json_format.Parse(text, Message())
    Statement.copy_from_pb(message).validate()
    if message.predicate_type != "https://slsa.dev/provenance/v1":
        raise ValueError(f"a predicate of type {message.predicate_type}")
    predicate = json_format.ParseDict(json_format.MessageToDict(message.predicate), Provenance())
    definition, run = predicate.build_definition, predicate.run_details
    for field in ("build_type", "external_parameters", "resolved_dependencies"):
        if not definition.HasField(field) if field == "external_parameters" else not getattr(definition, field):
            raise ValueError(f"no {field}")
    for name, value in (("builder.id", run.builder.id), ("invocation_id", run.metadata.invocation_id)):
        if not value:
            raise ValueError(f"no {name}")
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor

    for resource in [*definition.resolved_dependencies, *run.byproducts]:
        ResourceDescriptor.copy_from_pb(resource).validate()
    if run.metadata.finished_on.ToDatetime() < run.metadata.started_on.ToDatetime():
        raise ValueError("it ended before it began")


def trace(text):
    import math

    from chrometrace import TraceEvent, TraceEventType

    document = json.loads(text)
    events = [TraceEvent.from_dict(event) for event in document["traceEvents"]]
    # What the library leaves to its caller: types, and what the format says of slices on one track.
    named, tracks = set(), {}
    for event in events:
        # The library knows instants by their older letter only.
        kind = TraceEventType("I" if event.event_type == "i" else event.event_type)
        for number in (event.timestamp_us, event.duration_us):
            if isinstance(number, bool) or not math.isfinite(number) or number < 0:
                raise ValueError(f"{event.name}: {number} is no time")
        if kind == TraceEventType.METADATA:
            named.add((event.process_id, event.thread_id))
            continue
        track = (event.process_id, event.thread_id)
        if track not in named:
            raise ValueError(f"{event.name} is on the track {track}, which has no name")
        if kind == TraceEventType.INSTANT and event.scope not in ("t", "p", "g"):
            raise ValueError(f"{event.name}: {event.scope} is no scope of an instant")
        if kind == TraceEventType.COMPLETE:
            tracks.setdefault(track, []).append((event.timestamp_us, event.timestamp_us + event.duration_us, event.name))
    for slices in tracks.values():
        slices.sort()
        for (_, end, before), (start, _, after) in zip(slices, slices[1:]):
            # Half a microsecond is what rounding may do.
            if start < end - 1:
                raise ValueError(f"{after} begins before {before} has ended, on one track")


kind, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    content = file.read()
try:
    {"sbom": sbom, "provenance": provenance, "trace": trace}[kind](content)
except Exception as problem:  # noqa: BLE001: whatever a validator raises is its verdict
    print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
    sys.exit(1)
