# Shared by the scripts: what a fresh machine needs, and a build. Sourced, not run.

# ldconfig and setcap are here, where an ordinary user's shell does not look for programs.
export PATH=$PATH:/usr/sbin:/sbin

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
  # No pipe: ldconfig would fail in it where its reader has found the line and leaves.
  [[ $(ldconfig -p 2>/dev/null) == *libfuse.so.2* ]] || echo libfuse2
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
  apt_install $missing
}

# Packages of the distribution by their names, and of what they recommend nothing.
apt_install() {
  with_signs_of_life apt_occupation run_apt "$@"
}
run_apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null; }

# better-sqlite3 12, which a checkout has for Node.js 20, crashes in Node.js 24.
is_node_suitable() {
  command -v node >/dev/null 2>&1 && node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit((a===20&&b>=18)||a===22?0:1)'
}

# make(1) takes a path for two where a blank is in it, minutes after the start.
can_compile_here() {
  [[ $PWD != *[[:space:]]* ]] && return 0
  say "Nothing can be compiled in '$PWD': make does not take a path with a blank in it. Please move the checkout."
  return 1
}

# Sees to it that `node` is one that the program runs on: the machine's, or else one in .node/, from the npm registry.
check_node() {
  [ -d node_modules ] || can_compile_here || return 1
  is_node_suitable && return 0
  export PATH=$PWD/.node/bin:$PATH
  # Where the headers for its addons are.
  export npm_config_nodedir=$PWD/.node
  [ -e .node/complete ] && is_node_suitable && return 0
  bring_node && is_node_suitable && return 0
  say "Node.js 22, or 20.18 and later of 20, is needed (https://nodejs.org)."
  return 1
}

# Node.js with its headers, and npm, into .node/. The npm of the machine fetches them, if need be that of the distribution.
bring_node() {
  local processor
  case $(uname -sm) in
    "Linux x86_64") processor=x64 ;;
    "Linux aarch64") processor=arm64 ;;
    *) return 1 ;;
  esac
  if ! npm --version >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || return 1
    say "Installing npm of the distribution, which fetches a suitable Node.js (a minute or two) …"
    as_root apt-get update -q >/dev/null
    apt_install npm || return 1
  fi
  rm -rf .node
  mkdir .node
  bring_part "node-linux-$processor" .node && bring_part npm .node/lib/node_modules/npm || return 1
  ln -s ../lib/node_modules/npm/bin/npm-cli.js .node/bin/npm
  ln -s ../lib/node_modules/npm/bin/npx-cli.js .node/bin/npx
  # The shell remembers where the older ones are.
  hash -r
  touch .node/complete
}

# A package of scripts/checkout-node.json into a folder, in the version and with the checksum that stand there.
bring_part() {
  local name=$1 into=$2 version integrity archive
  version=$(sed -n "/\"$name\"/,/}/s/.*\"version\": \"\(.*\)\".*/\1/p" scripts/checkout-node.json)
  integrity=$(sed -n "/\"$name\"/,/}/s/.*\"integrity\": \"sha512-\(.*\)\".*/\1/p" scripts/checkout-node.json)
  archive=.node/$name-$version.tgz
  say "Fetching $name $version …"
  NODE_NO_WARNINGS=1 npm pack --loglevel=error --pack-destination .node "$name@$version" >/dev/null || return 1
  if [ "$(sha512sum "$archive" | cut -c1-128 | tr a-f A-F | basenc --base16 -d | base64 -w0)" != "$integrity" ]; then
    say "$archive is not what scripts/checkout-node.json has the checksum of"
    return 1
  fi
  mkdir -p "$into"
  tar -xzf "$archive" -C "$into" --strip-components=1 --no-same-owner && rm "$archive"
}

# Node packages, where those that are there are not the ones of the lock file, or do not run in this Node.
install_modules() {
  node scripts/modules-current.mjs && return 0
  can_compile_here || return 1
  say "Installing the Node packages (compiles better-sqlite3 where no binary fits: a minute or two) …"
  with_signs_of_life npm_occupation env NODE_NO_WARNINGS=1 npm ci --no-audit --no-fund --loglevel=error
}

# Runs a command that says nothing for minutes. Every ten seconds a line has what the function named first says that it is at.
with_signs_of_life() {
  local teller status=0
  # Not the command runs beside the script, but this: the command is to hear of Ctrl-C.
  tell_signs_of_life "$1" &
  teller=$!
  "${@:2}" >&2 || status=$?
  kill "$teller" 2>/dev/null || true
  wait "$teller" 2>/dev/null || true
  return "$status"
}

# For as long as the script lives.
tell_signs_of_life() {
  local started=$SECONDS seconds next=10
  while sleep 1 && kill -0 "$$" 2>/dev/null; do
    seconds=$((SECONDS - started))
    # Not "every tenth second": on a busy machine a turn takes longer than a second, and misses it.
    [ "$seconds" -ge "$next" ] || continue
    say "  … $seconds s: $("$1")"
    next=$((seconds + 10))
  done
}

# What apt is at.
apt_occupation() {
  if grep -qx dpkg /proc/[0-9]*/comm 2>/dev/null; then echo "dpkg, $(tail -n 1 /var/log/dpkg.log | cut -d ' ' -f 3-)"; else
    echo "fetching, $(find /var/cache/apt/archives -maxdepth 1 -name '*.deb' | wc -l) packages so far"
  fi
}

# What npm is at.
npm_occupation() {
  local process compiled=
  for process in $(grep -lxE 'cc1|cc1plus' /proc/[0-9]*/comm 2>/dev/null); do
    compiled=$(tr '\0' '\n' <"${process%comm}cmdline" 2>/dev/null | grep -oE '[^/]*\.(c|cc|cpp)$' | head -1) || true
  done
  if [ -n "$compiled" ]; then echo "compiling $compiled"; else echo "fetching and unpacking, $(find node_modules -maxdepth 1 2>/dev/null | wc -l) folders so far"; fi
}

build() {
  say "Building …"
  node scripts/build-addon.mjs --optional >&2
  npm run --silent build >&2
}
