import { expect, it } from 'vitest';
import { parseMountInfo } from '../../src/fuse/mount-table.js';

it('parses the lines of mountinfo, optional tags and octal characters included', () => {
  const text = `22 27 0:20 / /sys rw,nosuid shared:7 master:1 - sysfs sysfs rw
36 35 98:0 /mnt1 /mnt/a\\040b\\011c\\134d rw,noatime - fuse.syncmount gr\\303\\274n: rw,user_id=1000,group_id=7
37 35 98:1 / /ü rw - ext4 /dev/root\\040x rw

not a line`;
  expect(parseMountInfo(text)).toEqual([
    { id: '22', device: '0:20', mountpoint: '/sys', flags: ['rw', 'nosuid'], type: 'sysfs', source: 'sysfs', owner: 0 },
    {
      id: '36',
      device: '98:0',
      mountpoint: '/mnt/a b\tc\\d',
      flags: ['rw', 'noatime'],
      type: 'fuse.syncmount',
      source: 'grün:',
      owner: 1000,
    },
    { id: '37', device: '98:1', mountpoint: '/ü', flags: ['rw'], type: 'ext4', source: '/dev/root x', owner: 0 },
  ]);
});
