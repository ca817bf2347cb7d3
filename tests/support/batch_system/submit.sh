#!/bin/sh
# A scheduler of three lines: runs the job in the background, its state in $JOBS; prints an id.
id=$(date +%s%N)
echo "$*" > "$JOBS/$id.asked"
# The last argument is the job's script, before it what it asks for.
for script in "$@"; do :; done
setsid sh -c "echo \$\$ > '$JOBS/$id.pid'; sh '$script' > '$JOBS/$id.log' 2>&1; echo \$? > '$JOBS/$id.status'" \
  > /dev/null 2>&1 &
echo "$id"
