/** ACLs in the short text form of acl(5), with numbers for names, and `m::` for the mask. */

const tags: Readonly<Record<string, readonly [named: number, own: number]>> = {
  u: [0x02, 0x01],
  g: [0x08, 0x04],
  m: [0x10, 0x10],
  o: [0x20, 0x20],
};

/** The form of linux/posix_acl_xattr.h: what getxattr(2) returns for `u::rw- u:5:r-- g::r-- m::rw- o::---`. */
export function aclOf(text: string): Buffer {
  const entries = text.split(' ').filter((entry) => entry !== '');
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  entries.forEach((entry, index) => {
    const [kind = '', id = '', permissions = ''] = entry.split(':');
    const tag = tags[kind];
    if (tag === undefined) throw new Error(`${entry}: no entry of an ACL`);
    const bits = ['r', 'w', 'x'].reduce((sum, letter) => sum * 2 + (permissions.includes(letter) ? 1 : 0), 0);
    const at = 4 + index * 8;
    bytes.writeUInt16LE(id === '' ? tag[1] : tag[0], at);
    bytes.writeUInt16LE(bits, at + 2);
    bytes.writeUInt32LE(id === '' ? 0xffffffff : Number(id), at + 4);
  });
  return bytes;
}
