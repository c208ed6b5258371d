#!/bin/sh
# Makes sure that there is a Chromium, in which the tests look at the dashboard. Installs Debian's package when it may;
# otherwise says so, and those tests are skipped.
set -eu

have_chromium() {
  [ -x /usr/bin/chromium ] || [ -x /usr/bin/chromium-browser ] || [ -x /usr/bin/google-chrome ]
}

have_chromium && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing chromium"
  apt-get update -qq || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || true
fi
have_chromium || echo "there is no Chromium, so the tests of the dashboard are skipped: install the package chromium" >&2
