#!/bin/sh
# Debian's busybox crashes at wget's option -T: a limit for the whole call stands in for it.
limit=
for arg; do
    shift
    case "$pending$arg" in
    -T) pending=-T ;;
    -T*) limit=${arg#-T} pending= ;;
    *) set -- "$@" "$arg" ;;
    esac
done
exec ${limit:+timeout "$limit"} busybox wget "$@"
