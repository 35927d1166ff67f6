# Runs in a Debian root without compilers and without a network: installs a package, does the main job, removes the package.
# usage: INSTALL=COMMAND in-root.sh deb|npm    (the package, and for npm a Node.js, lie in /given)
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive
cd /given
for tool in gcc cc make python3 git curl; do if command -v $tool; then exit 1; fi; done
# Every system that has been started has it, and fusermount3 wants it.
ln -sfn ../proc/self/mounts /etc/mtab

# What the system is made of; apt's own caches and logs aside.
files() { find / -xdev \( -path /proc -o -path /given -o -path /root -o -path /tmp -o -path /run -o -path /var/cache -o -path /var/log -o -path /var/lib/apt \) -prune -o -print | sort; }
touch /etc/fstab
files > before
start=$(date +%s)
case $1 in
  deb)
    sh -euc "$INSTALL" < /dev/null > install.log 2>&1 || { cat install.log; exit 1; }
    node=/usr/lib/syncmount/node
    ;;
  npm)
    # All that npm could want is here, or it waits for a registry that is not there.
    export npm_config_update_notifier=false npm_config_loglevel=info
    sh -euc "$INSTALL" < /dev/null > install.log 2>&1 || { cat install.log; exit 1; }
    if grep -E 'EBADENGINE|http fetch|deprecated|run .*(install|build)' install.log; then exit 1; fi
    node=node
    ;;
esac
files > installed

syncmount --version
syncmount doctor | sed 's/:.*free$//; s/ v*[0-9][0-9.]* on / VERSION on /'
syncmount sandbox --json > sandbox.json &
sandbox=$!
until [ -s sandbox.json ]; do sleep 0.1; done
field() { $node -e 'const s = JSON.parse(require("fs").readFileSync("sandbox.json")); console.log('"$1"')'; }
umask 077
field 'JSON.stringify(s.credentials)' > credentials.json
# shellcheck disable=SC2046
syncmount login work --provider 4shared --credentials credentials.json $(field 'Object.entries(s.endpoints).map(([k, v]) => `--endpoint ${k}=${v}`).join(" ")')
mkdir -p mnt
syncmount mount work: mnt
if [ $(($(date +%s) - start)) -lt 60 ]; then echo "mounted within a minute"; else echo "mounted after $(($(date +%s) - start)) s"; fi
cp -r /usr/share/perl5 mnt/
diff -r /usr/share/perl5 mnt/perl5 && echo identical
syncmount umount mnt
syncmount mount work: mnt
diff -r /usr/share/perl5 mnt/perl5 && echo "identical after a remount"
syncmount umount mnt

if [ "$1" = deb ]; then
  echo 'work: /given/mnt syncmount noauto,nofail,_netdev,ro 0 0' > fstab
  mount -T fstab /given/mnt
  ls mnt
  umount /given/mnt
  until [ -z "$(ls "$HOME/.local/state/syncmount/mounts")" ]; do sleep 0.05; done
  useradd -m ann
  chmod 755 /given
  chmod 644 sandbox.json credentials.json
  su ann -c 'cd; umask 022; mkdir mnt; syncmount login mine --provider 4shared --credentials /given/credentials.json '"$(field 'Object.entries(s.endpoints).map(([k, v]) => `--endpoint ${k}=${v}`).join(" ")')"
  su ann -c 'cd; syncmount mount mine: mnt; ls mnt; syncmount umount mnt'
  userdel -r ann 2> /dev/null
  files > with-user
  test -s /usr/share/doc/syncmount/copyright
  test -s /usr/share/man/man8/mount.syncmount.8.gz
  mkdir 'my cloud'
  syncmount mount work: 'my cloud'
  apt-get remove -y -q syncmount > remove.log 2>&1 || { cat remove.log; exit 1; }
  tr -d '\r' < remove.log | grep -E '^(syncmount:|  /)'
  # In pieces, by a thread that starts with the first of them.
  head -c 30000000 /dev/zero > 'my cloud/large' && echo "stored without the program"
  umount 'my cloud'
  until [ -z "$(ls "$HOME/.local/state/syncmount/mounts")" ]; do sleep 0.05; done
  mkdir own
  printf 'store:\t/mnt\tsyncmount\tnoauto,config=/given/own,ro 0 0\n' >> /etc/fstab
  # dpkg has a terminal, whose lines end with a carriage return too.
  apt-get purge -y -q syncmount 2>&1 | tr -d '\r' | grep -E '^(syncmount:|  /)'
  # The system that boots later has this file too.
  sed -i '\|config=/given/own|d' /etc/fstab
else
  npm uninstall -g --no-update-notifier syncmount > remove.log 2>&1 || { cat remove.log; exit 1; }
fi
kill $sandbox
wait $sandbox || true
files > after
# Users and groups: of this test. Folders of manual pages: npm makes them, and leaves them.
diff before after | grep -v -E "^[0-9]|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?\$|/usr/local/share/man/man[0-9]\$" || echo "nothing is left"
ls -d "$HOME/.config/syncmount" "$HOME/.local/state/syncmount" "$HOME/.cache/syncmount"
