# Functions shared by the scripts: they install what a fresh machine lacks, and build. Sourced, not run.

# ldconfig and setcap are in these folders, which the PATH of an ordinary user does not have.
export PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

# Runs a command as root: through sudo if the caller is not root.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo "$@"; else
    say "This needs root: $*"; return 1
  fi
}

# Prints the Debian packages that are missing. Each line tests for a program or library, and names its package.
missing_packages() {
  command -v fusermount3 >/dev/null 2>&1 || echo fuse3
  # No pipe: a reader that finds the line would leave early, and ldconfig would fail with a broken pipe.
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

# Installs the missing system packages with apt. Without apt, says what is missing. Arguments: further tools that are needed.
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

# Installs the named packages of the distribution, without the packages that they recommend.
apt_install() {
  with_signs_of_life apt_occupation run_apt "$@"
}
run_apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null; }

# A checkout uses better-sqlite3 12, because it also runs in Node.js 20. That version crashes in Node.js 24.
is_node_suitable() {
  command -v node >/dev/null 2>&1 && node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit((a===20&&b>=18)||a===22?0:1)'
}

# make(1) reads a path with a blank as two paths. The build would fail minutes after the start.
can_compile_here() {
  [[ $PWD != *[[:space:]]* ]] && return 0
  say "Cannot compile in '$PWD': make does not accept a path with a blank in it. Please move the checkout."
  return 1
}

# Makes sure that `node` is a suitable version: the machine's own, or else one from the npm registry in .node/.
check_node() {
  [ -d node_modules ] || can_compile_here || return 1
  is_node_suitable && return 0
  export PATH=$PWD/.node/bin:$PATH
  # npm compiles addons with the headers in this folder.
  export npm_config_nodedir=$PWD/.node
  [ -e .node/complete ] && is_node_suitable && return 0
  bring_node && is_node_suitable && return 0
  say "Node.js 22, or 20.18 and later of 20, is needed (https://nodejs.org)."
  return 1
}

# Puts Node.js with its headers, and npm, into .node/. The machine's npm fetches them. Installs the distribution's npm if there is none.
bring_node() {
  local processor
  case $(uname -sm) in
    "Linux x86_64") processor=x64 ;;
    "Linux aarch64") processor=arm64 ;;
    *) return 1 ;;
  esac
  if ! npm --version >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || return 1
    say "Installing the distribution's npm, to fetch a suitable Node.js with it (a minute or two) …"
    as_root apt-get update -q >/dev/null
    apt_install npm || return 1
  fi
  rm -rf .node
  mkdir .node
  bring_part "node-linux-$processor" .node && bring_part npm .node/lib/node_modules/npm || return 1
  ln -s ../lib/node_modules/npm/bin/npm-cli.js .node/bin/npm
  ln -s ../lib/node_modules/npm/bin/npx-cli.js .node/bin/npx
  # Makes the shell forget the paths of the older programs.
  hash -r
  touch .node/complete
}

# Unpacks a package into a folder. scripts/checkout-node.json pins its version and checksum.
bring_part() {
  local name=$1 into=$2 version integrity archive
  version=$(sed -n "/\"$name\"/,/}/s/.*\"version\": \"\(.*\)\".*/\1/p" scripts/checkout-node.json)
  integrity=$(sed -n "/\"$name\"/,/}/s/.*\"integrity\": \"sha512-\(.*\)\".*/\1/p" scripts/checkout-node.json)
  archive=.node/$name-$version.tgz
  say "Fetching $name $version …"
  NODE_NO_WARNINGS=1 npm pack --loglevel=error --pack-destination .node "$name@$version" >/dev/null || return 1
  if [ "$(sha512sum "$archive" | cut -c1-128 | tr a-f A-F | basenc --base16 -d | base64 -w0)" != "$integrity" ]; then
    say "$archive is not the file that scripts/checkout-node.json expects: its checksum differs"
    return 1
  fi
  mkdir -p "$into"
  tar -xzf "$archive" -C "$into" --strip-components=1 --no-same-owner && rm "$archive"
}

# Installs the Node packages if those in node_modules differ from the lock file, or do not run in this Node.js.
install_modules() {
  node scripts/modules-current.mjs && return 0
  can_compile_here || return 1
  say "Installing the Node packages (compiles better-sqlite3 if no binary fits: a minute or two) …"
  with_signs_of_life npm_occupation env NODE_NO_WARNINGS=1 npm ci --no-audit --no-fund --loglevel=error
}

# Runs a command that prints nothing for minutes. Every ten seconds a line tells its progress, as the function in $1 prints it.
with_signs_of_life() {
  local teller status=0
  # The command runs in the foreground, so that Ctrl-C reaches it. The progress lines come from the background.
  tell_signs_of_life "$1" &
  teller=$!
  "${@:2}" >&2 || status=$?
  kill "$teller" 2>/dev/null || true
  wait "$teller" 2>/dev/null || true
  return "$status"
}

# Prints the progress lines until the script ends.
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

# Prints the progress of apt.
apt_occupation() {
  if grep -qx dpkg /proc/[0-9]*/comm 2>/dev/null; then echo "dpkg, $(tail -n 1 /var/log/dpkg.log | cut -d ' ' -f 3-)"; else
    echo "fetching, $(find /var/cache/apt/archives -maxdepth 1 -name '*.deb' | wc -l) packages so far"
  fi
}

# Prints the progress of npm.
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
