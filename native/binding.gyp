{
  'targets': [
    {
      'target_name': 'fuse_device',
      'sources': ['fuse_device.c'],
      'defines': ['NAPI_VERSION=8', '_GNU_SOURCE'],
      'cflags': ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-pthread'],
      # Stays loaded: a worker that ends unloads its addons, although a notification may still wait for the kernel, and the event loop
      # may still call back for closed handles.
      'ldflags': ['-pthread', '-Wl,-z,nodelete'],
    },
  ],
}
