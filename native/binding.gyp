{
  'targets': [
    {
      'target_name': 'fuse_device',
      'sources': ['fuse_device.c'],
      'defines': ['NAPI_VERSION=8', '_GNU_SOURCE'],
      'cflags': ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-pthread'],
      'ldflags': ['-pthread'],
    },
  ],
}
