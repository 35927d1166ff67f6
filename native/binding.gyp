{
  'targets': [
    {
      'target_name': 'fuse_device',
      'sources': ['fuse_device.c'],
      'defines': ['NAPI_VERSION=8', '_GNU_SOURCE'],
      'cflags': ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-pthread'],
      # Stays loaded: a worker that ends unloads its addons, while a notification still waits for the kernel and the event loop has
      # yet to tell of closed handles.
      'ldflags': ['-pthread', '-Wl,-z,nodelete'],
    },
  ],
}
