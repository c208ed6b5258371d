#!/bin/bash
# Runs a command in the foreground of the terminal, in a process group of its own: Ctrl-C then reaches the command
# alone and its exit code is what counts. Without this, make gets the signal too and calls an orderly stop an error.
if [ -t 0 ]; then
  set -m
  "$@" &
  fg >/dev/null
else
  exec "$@"
fi
