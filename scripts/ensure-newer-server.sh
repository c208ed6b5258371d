#!/bin/sh
# The module does some things in another way on servers from 7.2 on. Where the installed redis-server is older, this
# brings Debian's newest valkey-server into .cache/valkey, beside it and without installing it, so that the tests see
# both.
set -eu

directory=.cache/valkey
have_newer() {
  redis-server --version 2>/dev/null | grep -qE ' v=(7\.[2-9]|[89]\.|[1-9][0-9])' || [ -x "$directory/usr/bin/valkey-server" ]
}

# With lists of its own, of the suite that has newer packages, from wherever this machine has its packages from.
fetch() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial"
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  source=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$release //p" | head -n 1)
  echo "deb $source $release-backports main" >"$work/sources.list"
  get() {
    apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- \
      -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root "$@"
  }
  get update
  mkdir "$work/packages" "$work/files"
  (cd "$work/packages" && get download valkey-server valkey-tools)
  for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/files"; done
  "$work/files/usr/bin/valkey-server" --version
  mkdir -p "$(dirname "$directory")"
  mv "$work/files" "$directory"
}

have_newer || { command -v apt-get >/dev/null && fetch; } || {
  echo "the tests need a redis-server of 7.2 or later too, or valkey-server as $directory/usr/bin/valkey-server" >&2
  exit 1
}
