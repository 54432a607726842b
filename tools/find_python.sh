#!/bin/sh
# Print a Python that the lock covers (3.11 to 3.14): the one named as argument, else the first found.
for python in ${1:-python3 python3.13 python3.12 python3.11 python3.14}; do
    if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
echo "No Python 3.11 to 3.14 found${1:+ at $1} (python3 is: $(python3 --version 2>&1))." >&2
echo "Install one, or name it: make html PYTHON=/path/to/python3.12" >&2
exit 1
