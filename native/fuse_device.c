/*
 * Calls for /dev/fuse that Node lacks: mount, wait for readability on the event loop, read without blocking into an existing
 * buffer, write a reply from two buffers in one call, and receive a descriptor over a socket.
 *
 * This file does not know the FUSE protocol. System calls return 0 (or a count, a descriptor) or a negative errno; only
 * wrong arguments throw. See fuse(4), mount(2), cmsg(3), and src/fuse/kernel/addon.ts for the TypeScript side.
 *
 * Threads: everything runs on the event loop, except
 *  - mount and umount2, which may block on this same file system and so run in libuv's pool;
 *  - long replies (replyLater): the writer waits while the kernel copies them, so a thread of the pool writes them;
 *  - notifications. Writing one waits for locks that requests hold until the event loop has answered them. So each device
 *    has one thread that only writes notifications. It shares only the queue below, under its mutex.
 * A thread and the last callbacks of a loop may outlive the worker that loaded this library. So binding.gyp keeps it loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <node_api.h>
#include <uv.h>

/* ---------------------------------------------------------------------------------------------- arguments and results */

#define MAX_ARGUMENTS 6

/* Throws an exception, unless one is pending already, and returns from the calling function. */
#define TRY(call)                                                        \
  do {                                                                   \
    if ((call) != napi_ok) {                                             \
      bool pending = false;                                              \
      napi_is_exception_pending(env, &pending);                          \
      if (!pending) napi_throw_type_error(env, NULL, "bad argument: " #call); \
      return NULL;                                                       \
    }                                                                    \
  } while (0)

static napi_status arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *values) {
  size_t count = MAX_ARGUMENTS;
  napi_status status = napi_get_cb_info(env, info, &count, values, NULL, NULL);
  if (status != napi_ok) return status;
  return count < wanted ? napi_invalid_arg : napi_ok;
}

static napi_value integer(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_status bytes_of(napi_env env, napi_value value, uint8_t **data, size_t *length) {
  bool is_typed_array = false;
  napi_status status = napi_is_typedarray(env, value, &is_typed_array);
  if (status != napi_ok) return status;
  if (!is_typed_array) return napi_invalid_arg;
  napi_typedarray_type type;
  status = napi_get_typedarray_info(env, value, &type, length, (void **)data, NULL, NULL);
  if (status != napi_ok) return status;
  return type == napi_uint8_array ? napi_ok : napi_invalid_arg;
}

/* A copy of a string. The caller frees it. NULL if there is no memory, or if the argument is not a string. */
static char *string_of(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *copy = malloc(length + 1);
  if (copy != NULL && napi_get_value_string_utf8(env, value, copy, length + 1, &length) != napi_ok) {
    free(copy);
    copy = NULL;
  }
  return copy;
}

/* ------------------------------------------------------------------------------------------------- notification thread */

typedef struct notification {
  struct notification *next;
  size_t length;
  uint8_t bytes[];
} notification;

/* The device, the thread and replies in the pool each hold a reference, because a write may outlast the device. */
typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  notification *first, **last;
  bool stopping;
  int holders;
  int fd;
} notifier;

/* Call with the mutex held. Releases the mutex. */
static void notifier_release(notifier *n) {
  int left = --n->holders;
  pthread_mutex_unlock(&n->mutex);
  if (left > 0) return;
  close(n->fd);
  for (notification *item = n->first, *next; item != NULL; item = next) {
    next = item->next;
    free(item);
  }
  pthread_cond_destroy(&n->changed);
  pthread_mutex_destroy(&n->mutex);
  free(n);
}

static void *notifier_run(void *data) {
  notifier *n = data;
  pthread_mutex_lock(&n->mutex);
  for (;;) {
    while (n->first == NULL && !n->stopping) pthread_cond_wait(&n->changed, &n->mutex);
    if (n->stopping) break;
    notification *item = n->first;
    n->first = item->next;
    if (n->first == NULL) n->last = &n->first;
    pthread_mutex_unlock(&n->mutex);
    /* ENOENT: the kernel does not know the object, or no longer, so there is nothing to invalidate. Else: the mount is ending. */
    while (write(n->fd, item->bytes, item->length) < 0 && errno == EINTR) continue;
    free(item);
    pthread_mutex_lock(&n->mutex);
  }
  notifier_release(n);
  return NULL;
}

static notifier *notifier_start(int fd) {
  notifier *n = calloc(1, sizeof(notifier));
  if (n == NULL) return NULL;
  n->fd = fd;
  n->last = &n->first;
  n->holders = 2;
  pthread_mutex_init(&n->mutex, NULL);
  pthread_cond_init(&n->changed, NULL);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  /* Signals are for Node's own threads. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, notifier_run, n);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->mutex);
    free(n);
    return NULL;
  }
  return n;
}

/* ------------------------------------------------------------------------------------- calls that may block: promises */

/* The most bytes of a reply before its payload: a fuse_out_header, and a little more. */
#define MAX_HEAD 64

typedef struct {
  enum { MOUNT, UNMOUNT, REPLY } kind;
  char *source, *target, *type, *data;
  unsigned long flags;
  /* REPLY: the task keeps the descriptor open and the payload alive. */
  notifier *connection;
  napi_ref payload;
  struct iovec vectors[2];
  uint8_t head[MAX_HEAD];
  int result;
  napi_async_work work;
  napi_deferred deferred;
} task;

static void task_free(napi_env env, task *t) {
  if (t->work != NULL) napi_delete_async_work(env, t->work);
  if (t->payload != NULL) napi_delete_reference(env, t->payload);
  if (t->connection != NULL) {
    pthread_mutex_lock(&t->connection->mutex);
    notifier_release(t->connection);
  }
  free(t->source);
  free(t->target);
  free(t->type);
  free(t->data);
  free(t);
}

static void task_run(napi_env env, void *data) {
  (void)env;
  task *t = data;
  int result = -1;
  switch (t->kind) {
    case MOUNT:
      result = mount(t->source, t->target, t->type, t->flags, t->data);
      break;
    case UNMOUNT:
      result = umount2(t->target, (int)t->flags);
      break;
    case REPLY:
      do result = (int)writev(t->connection->fd, t->vectors, 2);
      while (result < 0 && errno == EINTR);
      break;
  }
  t->result = result < 0 ? -errno : 0;
}

static void task_done(napi_env env, napi_status status, void *data) {
  task *t = data;
  napi_value result = integer(env, status == napi_ok ? t->result : -ECANCELED);
  if (result != NULL) napi_resolve_deferred(env, t->deferred, result);
  task_free(env, t);
}

static napi_value task_start(napi_env env, task *t) {
  napi_value promise = NULL, name = NULL;
  if (napi_create_string_utf8(env, "syncmount", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, task_run, task_done, t, &t->work) != napi_ok ||
      napi_create_promise(env, &t->deferred, &promise) != napi_ok || napi_queue_async_work(env, t->work) != napi_ok) {
    task_free(env, t);
    napi_throw_error(env, NULL, "cannot queue work");
    return NULL;
  }
  return promise;
}

/* mount(source, target, type, flags, data): Promise<0 | -errno> */
static napi_value js_mount(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  uint32_t flags = 0;
  TRY(arguments(env, info, 5, args));
  TRY(napi_get_value_uint32(env, args[3], &flags));
  task *t = calloc(1, sizeof(task));
  if (t == NULL) return integer(env, -ENOMEM);
  t->kind = MOUNT;
  t->flags = flags;
  t->source = string_of(env, args[0]);
  t->target = string_of(env, args[1]);
  t->type = string_of(env, args[2]);
  t->data = string_of(env, args[4]);
  if (t->source == NULL || t->target == NULL || t->type == NULL || t->data == NULL) {
    task_free(env, t);
    napi_throw_type_error(env, NULL, "bad argument: strings expected");
    return NULL;
  }
  return task_start(env, t);
}

/* unmount(target, flags): Promise<0 | -errno> */
static napi_value js_unmount(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  uint32_t flags = 0;
  TRY(arguments(env, info, 2, args));
  TRY(napi_get_value_uint32(env, args[1], &flags));
  task *t = calloc(1, sizeof(task));
  if (t == NULL) return integer(env, -ENOMEM);
  t->kind = UNMOUNT;
  t->flags = flags;
  t->target = string_of(env, args[0]);
  if (t->target == NULL) {
    task_free(env, t);
    napi_throw_type_error(env, NULL, "bad argument: string expected");
    return NULL;
  }
  return task_start(env, t);
}

/* punchHole(fd, offset, length): 0 | -errno. Frees the blocks, keeps the size. Not in the pool, because fd could be closed meanwhile. */
static napi_value js_punch_hole(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  int32_t fd = -1;
  int64_t offset = 0, length = 0;
  TRY(arguments(env, info, 3, args));
  TRY(napi_get_value_int32(env, args[0], &fd));
  TRY(napi_get_value_int64(env, args[1], &offset));
  TRY(napi_get_value_int64(env, args[2], &length));
  int result;
  do result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  while (result < 0 && errno == EINTR);
  return integer(env, result < 0 ? -errno : 0);
}

/* seek(fd, offset, forHole): the next data or hole, or -errno. It moves the descriptor's position, which nothing else uses. */
static napi_value js_seek(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  int32_t fd = -1;
  int64_t offset = 0;
  bool for_hole = false;
  TRY(arguments(env, info, 3, args));
  TRY(napi_get_value_int32(env, args[0], &fd));
  TRY(napi_get_value_int64(env, args[1], &offset));
  TRY(napi_get_value_bool(env, args[2], &for_hole));
  off_t found = lseek(fd, offset, for_hole ? SEEK_HOLE : SEEK_DATA);
  napi_value result;
  TRY(napi_create_int64(env, found < 0 ? -errno : found, &result));
  return result;
}

/* 1 if the kernel refuses a lease of this type, because another open or mapping of the file conflicts with it; 0 | -errno. */
static napi_value refuses_lease(napi_env env, napi_callback_info info, int type) {
  napi_value args[MAX_ARGUMENTS];
  int32_t fd = -1;
  TRY(arguments(env, info, 1, args));
  TRY(napi_get_value_int32(env, args[0], &fd));
  /* If a process opens the file during the lease, the kernel sends us a signal. It must be an ignored one: SIGIO would kill us. */
  if (fcntl(fd, F_SETSIG, SIGURG) < 0) return integer(env, -errno);
  if (fcntl(fd, F_SETLEASE, type) < 0) return integer(env, errno == EAGAIN ? 1 : -errno);
  return integer(env, fcntl(fd, F_SETLEASE, F_UNLCK) < 0 ? -errno : 0);
}

/*
 * isOpenElsewhere(fd): 1 | 0 | -errno. Is the file open or mapped other than by `fd`? If it is, the kernel refuses a write
 * lease. It also counts passthrough files, which it reads itself (fs/locks.c, check_conflicting_open).
 */
static napi_value js_is_open_elsewhere(napi_env env, napi_callback_info info) {
  return refuses_lease(env, info, F_WRLCK);
}

/* isOpenForWriting(fd): 1 | 0 | -errno. Is the file open or mapped for writing? `fd` itself must be read-only. */
static napi_value js_is_open_for_writing(napi_env env, napi_callback_info info) {
  return refuses_lease(env, info, F_RDLCK);
}

/* --------------------------------------------------------------------------------- threads that other libraries start */

/*
 * withSignalsBlocked(act): the result of `act`. Threads that `act` starts inherit the mask, so no signal handler runs in them. The
 * synchronous signals are not blocked, because the kernel delivers them to the thread that causes them.
 */
static napi_value js_with_signals_blocked(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS], receiver, result = NULL;
  napi_valuetype type;
  TRY(arguments(env, info, 1, args));
  TRY(napi_typeof(env, args[0], &type));
  TRY(type == napi_function ? napi_ok : napi_function_expected);
  TRY(napi_get_undefined(env, &receiver));
  const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof(synchronous) / sizeof(synchronous[0]); i++) sigdelset(&blocked, synchronous[i]);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  /* If `act` throws, the exception is pending, and the caller gets it. */
  napi_call_function(env, receiver, args[0], 0, NULL, &result);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return result;
}

/* ------------------------------------------------------------------------------------------------ getting a descriptor */

/* openDevice(): descriptor | -errno */
static napi_value js_open_device(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  return integer(env, fd < 0 ? -errno : fd);
}

/* socketPair(): [ours, theirs] | -errno. Node's spawn() duplicates `theirs` for the child. Close both by closeDescriptor. */
static napi_value js_socket_pair(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) return integer(env, -errno);
  napi_value pair = NULL;
  if (napi_create_array_with_length(env, 2, &pair) != napi_ok ||
      napi_set_element(env, pair, 0, integer(env, fds[0])) != napi_ok ||
      napi_set_element(env, pair, 1, integer(env, fds[1])) != napi_ok) {
    close(fds[0]);
    close(fds[1]);
    napi_throw_error(env, NULL, "cannot make an array");
    return NULL;
  }
  return pair;
}

/* receiveDescriptor(socket): descriptor | -errno. Receives the descriptor that fusermount3 sent before it exited. Does not block. */
static napi_value js_receive_descriptor(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  int32_t socket_fd = -1;
  TRY(arguments(env, info, 1, args));
  TRY(napi_get_value_int32(env, args[0], &socket_fd));

  char byte;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
  ssize_t received;
  do received = recvmsg(socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  if (received < 0) return integer(env, -errno);

  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (received == 0 || header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    return integer(env, -EBADMSG);
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    int error = errno;
    close(fd);
    return integer(env, -error);
  }
  return integer(env, fd);
}

/* closeDescriptor(fd): 0 | -errno */
static napi_value js_close_descriptor(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  int32_t fd = -1;
  TRY(arguments(env, info, 1, args));
  TRY(napi_get_value_int32(env, args[0], &fd));
  return integer(env, close(fd) < 0 ? -errno : 0);
}

/* ------------------------------------------------------------------------------------------------- the service manager */

/*
 * sendDatagram(address, text): 0 | -errno. Sends to a Unix datagram socket, which Node cannot, without waiting. A leading @ stands for
 * the NUL of an abstract address, as in sd_notify(3).
 */
static napi_value js_send_datagram(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  TRY(arguments(env, info, 2, args));
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = 0;
  TRY(napi_get_value_string_utf8(env, args[0], NULL, 0, &length));
  if (length >= sizeof(address.sun_path)) return integer(env, -ENAMETOOLONG);
  TRY(napi_get_value_string_utf8(env, args[0], address.sun_path, sizeof(address.sun_path), &length));
  if (address.sun_path[0] == '@') address.sun_path[0] = 0;
  char *text = string_of(env, args[1]);
  TRY(text != NULL ? napi_ok : napi_string_expected);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ssize_t sent = fd < 0 ? -1
                        : sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
  int result = sent < 0 ? -errno : 0;
  if (fd >= 0) close(fd);
  free(text);
  return integer(env, result);
}

/* ---------------------------------------------------------------------------------------------------------- the device */

/* Owned by the JavaScript external and by the open uv handle. Freed when both are closed. */
typedef struct {
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  uv_poll_t poll;
  notifier *notifier;
  int fd; /* the notifier's; -1 once closed */
  bool handle_open, collected;
} device;

static void device_free_if_unused(device *d) {
  if (!d->handle_open && d->collected) free(d);
}

static void device_handle_closed(uv_handle_t *handle) {
  device *d = handle->data;
  d->handle_open = false;
  device_free_if_unused(d);
}

static void device_cleanup(void *data);

static void device_close(device *d) {
  if (d->fd < 0) return;
  d->fd = -1;
  napi_remove_env_cleanup_hook(d->env, device_cleanup, d);
  uv_poll_stop(&d->poll);
  uv_close((uv_handle_t *)&d->poll, device_handle_closed);
  pthread_mutex_lock(&d->notifier->mutex);
  d->notifier->stopping = true;
  pthread_cond_signal(&d->notifier->changed);
  notifier_release(d->notifier);
  d->notifier = NULL;
  if (d->callback != NULL) napi_delete_reference(d->env, d->callback);
  d->callback = NULL;
  if (d->context != NULL) napi_async_destroy(d->env, d->context);
  d->context = NULL;
}

static void device_cleanup(void *data) { device_close(data); }

static void device_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  device *d = data;
  d->collected = true;
  device_close(d);
  device_free_if_unused(d);
}

static void device_ready(uv_poll_t *handle, int status, int events) {
  (void)events;
  device *d = handle->data;
  napi_env env = d->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback = NULL, receiver = NULL, argument = integer(env, status);
  if (argument != NULL && napi_get_reference_value(env, d->callback, &callback) == napi_ok &&
      napi_get_global(env, &receiver) == napi_ok) {
    napi_status called = napi_make_callback(env, d->context, receiver, callback, 1, &argument, NULL);
    if (called == napi_pending_exception) {
      napi_value error;
      if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
    }
  }
  napi_close_handle_scope(env, scope);
}

/* createDevice(fd, onReadable: (status) => void): device. Takes ownership of fd. status < 0: the mount is gone. */
static napi_value js_create_device(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS], name, result;
  int32_t fd = -1;
  uv_loop_t *loop = NULL;
  TRY(arguments(env, info, 2, args));
  TRY(napi_get_value_int32(env, args[0], &fd));
  napi_valuetype type;
  TRY(napi_typeof(env, args[1], &type));
  TRY(type == napi_function ? napi_ok : napi_function_expected);
  TRY(napi_get_uv_event_loop(env, &loop));
  TRY(napi_create_string_utf8(env, "syncmount:fuse", NAPI_AUTO_LENGTH, &name));

  device *d = calloc(1, sizeof(device));
  if (d == NULL) {
    napi_throw_error(env, NULL, "out of memory");
    return NULL;
  }
  d->env = env;
  d->fd = fd;
  d->poll.data = d;
  int error = uv_poll_init(loop, &d->poll, fd);
  if (error != 0) {
    free(d);
    napi_throw_error(env, uv_err_name(error), "cannot wait for the descriptor");
    return NULL;
  }
  d->handle_open = true;
  d->notifier = notifier_start(fd);
  if (d->notifier == NULL || napi_create_reference(env, args[1], 1, &d->callback) != napi_ok ||
      napi_async_init(env, NULL, name, &d->context) != napi_ok ||
      (error = uv_poll_start(&d->poll, UV_READABLE, device_ready)) != 0 ||
      napi_create_external(env, d, device_collected, NULL, &result) != napi_ok) {
    if (d->callback != NULL) napi_delete_reference(env, d->callback);
    if (d->context != NULL) napi_async_destroy(env, d->context);
    d->collected = true;
    uv_close((uv_handle_t *)&d->poll, device_handle_closed);
    if (d->notifier != NULL) {
      pthread_mutex_lock(&d->notifier->mutex);
      d->notifier->stopping = true;
      pthread_cond_signal(&d->notifier->changed);
      notifier_release(d->notifier);
    } else {
      close(fd);
    }
    napi_throw_error(env, NULL, "cannot set the device up");
    return NULL;
  }
  napi_add_env_cleanup_hook(env, device_cleanup, d);
  return result;
}

static napi_status device_of(napi_env env, napi_value value, device **d) {
  napi_valuetype type;
  napi_status status = napi_typeof(env, value, &type);
  if (status != napi_ok) return status;
  return type == napi_external ? napi_get_value_external(env, value, (void **)d) : napi_invalid_arg;
}

/* read(device, into): count | -errno */
static napi_value js_read(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  device *d;
  uint8_t *data;
  size_t length;
  TRY(arguments(env, info, 2, args));
  TRY(device_of(env, args[0], &d));
  TRY(bytes_of(env, args[1], &data, &length));
  if (d->fd < 0) return integer(env, -ENODEV);
  ssize_t count = read(d->fd, data, length);
  return integer(env, count < 0 ? -errno : count);
}

/* The arguments of both kinds of reply. */
static napi_status reply_arguments(napi_env env, napi_value *args, device **d, struct iovec vectors[2]) {
  uint8_t *head, *payload = NULL;
  size_t head_size, payload_size = 0;
  uint32_t head_length = 0, payload_length = 0;
  napi_status status;
  if ((status = device_of(env, args[0], d)) != napi_ok) return status;
  if ((status = bytes_of(env, args[1], &head, &head_size)) != napi_ok) return status;
  if ((status = napi_get_value_uint32(env, args[2], &head_length)) != napi_ok) return status;
  if ((status = napi_get_value_uint32(env, args[4], &payload_length)) != napi_ok) return status;
  if (payload_length > 0 && (status = bytes_of(env, args[3], &payload, &payload_size)) != napi_ok) return status;
  if (head_length > head_size || payload_length > payload_size) return napi_invalid_arg;
  vectors[0] = (struct iovec){head, head_length};
  vectors[1] = (struct iovec){payload, payload_length};
  return napi_ok;
}

/* reply(device, head, headLength, payload | undefined, payloadLength): 0 | -errno */
static napi_value js_reply(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  device *d;
  struct iovec vectors[2];
  TRY(arguments(env, info, 5, args));
  TRY(reply_arguments(env, args, &d, vectors));
  if (d->fd < 0) return integer(env, -ENODEV);
  ssize_t count;
  do count = writev(d->fd, vectors, vectors[1].iov_len > 0 ? 2 : 1);
  while (count < 0 && errno == EINTR);
  return integer(env, count < 0 ? -errno : 0);
}

/*
 * replyLater(device, head, headLength, payload, payloadLength): Promise<0 | -errno>, or -errno if the write cannot begin. A thread of
 * the pool writes the reply. The head is copied. The payload must not change before the promise resolves.
 */
static napi_value js_reply_later(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  device *d;
  struct iovec vectors[2];
  TRY(arguments(env, info, 5, args));
  TRY(reply_arguments(env, args, &d, vectors));
  TRY(vectors[0].iov_len <= MAX_HEAD && vectors[1].iov_len > 0 ? napi_ok : napi_invalid_arg);
  if (d->fd < 0) return integer(env, -ENODEV);
  task *t = calloc(1, sizeof(task));
  if (t == NULL) return integer(env, -ENOMEM);
  t->kind = REPLY;
  memcpy(t->head, vectors[0].iov_base, vectors[0].iov_len);
  t->vectors[0] = (struct iovec){t->head, vectors[0].iov_len};
  t->vectors[1] = vectors[1];
  pthread_mutex_lock(&d->notifier->mutex);
  d->notifier->holders++;
  t->connection = d->notifier;
  pthread_mutex_unlock(&t->connection->mutex);
  if (napi_create_reference(env, args[3], 1, &t->payload) != napi_ok) {
    task_free(env, t);
    napi_throw_error(env, NULL, "cannot keep the payload");
    return NULL;
  }
  return task_start(env, t);
}

/* notify(device, bytes): 0 | -errno. Copies the bytes. The device's thread writes them, in order. */
static napi_value js_notify(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  device *d;
  uint8_t *data;
  size_t length;
  TRY(arguments(env, info, 2, args));
  TRY(device_of(env, args[0], &d));
  TRY(bytes_of(env, args[1], &data, &length));
  if (d->fd < 0) return integer(env, -ENODEV);
  notification *item = malloc(sizeof(notification) + length);
  if (item == NULL) return integer(env, -ENOMEM);
  item->next = NULL;
  item->length = length;
  memcpy(item->bytes, data, length);
  pthread_mutex_lock(&d->notifier->mutex);
  *d->notifier->last = item;
  d->notifier->last = &item->next;
  pthread_cond_signal(&d->notifier->changed);
  pthread_mutex_unlock(&d->notifier->mutex);
  return integer(env, 0);
}

/* linux/fuse.h since 7.40; declared here because the headers may be older than the kernel. */
struct backing_map {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

static napi_value device_ioctl(napi_env env, napi_callback_info info, bool opens) {
  napi_value args[MAX_ARGUMENTS];
  device *d;
  int32_t number = -1;
  TRY(arguments(env, info, 2, args));
  TRY(device_of(env, args[0], &d));
  TRY(napi_get_value_int32(env, args[1], &number));
  if (d->fd < 0) return integer(env, -ENODEV);
  struct backing_map map = {.fd = number};
  uint32_t id = (uint32_t)number;
  int result = opens ? ioctl(d->fd, BACKING_OPEN, &map) : ioctl(d->fd, BACKING_CLOSE, &id);
  return integer(env, result < 0 ? -errno : result);
}

/* backingOpen(device, fd): id | -errno. The kernel takes a reference of its own to the file. */
static napi_value js_backing_open(napi_env env, napi_callback_info info) { return device_ioctl(env, info, true); }

/* backingClose(device, id): 0 | -errno. Files that are open with this id keep their backing file. */
static napi_value js_backing_close(napi_env env, napi_callback_info info) { return device_ioctl(env, info, false); }

/* close(device). A device that is never closed is closed when it is garbage-collected, or when the process ends. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  napi_value args[MAX_ARGUMENTS];
  device *d;
  TRY(arguments(env, info, 1, args));
  TRY(device_of(env, args[0], &d));
  device_close(d);
  return NULL;
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback function;
  } exported[] = {
      {"mount", js_mount},
      {"unmount", js_unmount},
      {"punchHole", js_punch_hole},
      {"seek", js_seek},
      {"isOpenElsewhere", js_is_open_elsewhere},
      {"isOpenForWriting", js_is_open_for_writing},
      {"withSignalsBlocked", js_with_signals_blocked},
      {"sendDatagram", js_send_datagram},
      {"openDevice", js_open_device},
      {"socketPair", js_socket_pair},
      {"receiveDescriptor", js_receive_descriptor},
      {"closeDescriptor", js_close_descriptor},
      {"createDevice", js_create_device},
      {"read", js_read},
      {"reply", js_reply},
      {"replyLater", js_reply_later},
      {"notify", js_notify},
      {"backingOpen", js_backing_open},
      {"backingClose", js_backing_close},
      {"close", js_close},
  };
  for (size_t i = 0; i < sizeof(exported) / sizeof(exported[0]); i++) {
    napi_value function;
    TRY(napi_create_function(env, exported[i].name, NAPI_AUTO_LENGTH, exported[i].function, NULL, &function));
    TRY(napi_set_named_property(env, exports, exported[i].name, function));
  }
  return exports;
}
