#!/bin/sh
# Prints running, success or failed, as Snakemake asks.
if [ ! -s "$JOBS/$1.status" ]; then echo running
elif [ "$(cat "$JOBS/$1.status")" = 0 ]; then echo success
else echo failed; fi
