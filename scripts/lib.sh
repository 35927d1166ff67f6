# Shared by the scripts: what a fresh machine needs, and a build. Sourced, not run.

say() { printf '%s\n' "$*" >&2; }

# Runs a command as root, through sudo where we are not.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo "$@"; else
    say "This needs root: $*"; return 1
  fi
}

# The Debian packages that are missing here. Each line: a test that tells it is there, and the package.
missing_packages() {
  command -v fusermount3 >/dev/null 2>&1 || echo fuse3
  ldconfig -p 2>/dev/null | grep -q 'libfuse\.so\.2' || echo libfuse2
  command -v g++ >/dev/null 2>&1 || echo g++
  command -v make >/dev/null 2>&1 || echo make
  command -v python3 >/dev/null 2>&1 || echo python3
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case $tool in setfattr) echo attr ;; setfacl) echo acl ;; setcap) echo libcap2-bin ;; gio) echo libglib2.0-bin ;; borg) echo borgbackup ;; *) echo "$tool" ;; esac
  done
}

# Installs system packages where apt is; elsewhere says what is missing. Arguments: further tools that must be there.
install_packages() {
  local missing
  missing=$(missing_packages "$@" | sort -u | tr '\n' ' ')
  [ -z "$missing" ] && return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    say "Please install: $missing"
    return 1
  fi
  say "Installing: $missing"
  as_root apt-get update -q >/dev/null
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
}

check_node() {
  if ! command -v node >/dev/null 2>&1 || ! node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=18)?0:1)'; then
    say "Node.js 20.18 or newer is needed (https://nodejs.org)."
    return 1
  fi
}

# Node packages, where those that are there are not the ones of the lock file, or do not run in this Node.
install_modules() {
  node scripts/modules-current.mjs && return 0
  say "Installing the Node packages (compiles better-sqlite3 where no binary fits: a minute or two) …"
  npm ci --no-audit --no-fund --loglevel=error >&2
}

build() {
  say "Building …"
  node scripts/build-addon.mjs --optional >&2
  npm run --silent build >&2
}
