#!/bin/sh
# Says of a PBS job what Snakemake asks: running, success or failed.
if ! job=$(qstat -x -f "$1" 2>&1); then
  # A server that cannot be reached will be asked again; one that forgot the job has no more to say.
  case $job in *"Unknown Job"*) echo failed ;; *) echo running ;; esac
  exit
fi
state=$(echo "$job" | sed -n 's/^ *job_state = //p')
status=$(echo "$job" | sed -n 's/^ *Exit_status = //p')
if [ "$state" != F ]; then echo running
elif [ "$status" = 0 ]; then echo success
else echo failed; fi
