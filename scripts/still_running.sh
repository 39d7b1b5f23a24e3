#!/bin/sh
# Run a command that may be silent for minutes, and say on standard error every PAUSE seconds (15)
# that it still runs. Its output and exit status stay as they are.
pause=${PAUSE:-15}
(
  passed=0
  # Without our streams: it outlives this by some seconds, and who reads them would wait for it.
  while sleep "$pause" < /dev/null > /dev/null 2>&1; do
    passed=$((passed + pause))
    echo "  still running after $passed s" >&2
  done
) &
clock=$!
trap 'kill $clock 2> /dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$@"
