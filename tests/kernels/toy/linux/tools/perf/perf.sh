#!/bin/sh
echo "perf of the toy kernel"
