#!/bin/sh
# Brings the versions of Node that vstore runs on into .cache/nodes, for the tests that start it on each. They come from
# the npm registry, where the package `node` carries the program. Without a registry the tests run on those that are
# there.
set -eu

directory=.cache/nodes
[ -d "$directory/node_modules/node24" ] && exit 0
mkdir -p "$directory"
echo "fetching Node 20, 22 and 24 for the tests"
npm install --prefix "$directory" --silent --no-audit --no-fund \
  node20@npm:node@20 node22@npm:node@22 node24@npm:node@24 ||
  echo "they cannot be had now; the tests run on $(node --version) alone" >&2
