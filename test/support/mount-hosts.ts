/** For the files that mount: processes that mount again and again. */
import { afterAll } from 'vitest';
import { endSpareMountHosts, MountHost } from '../mount/mount-host.js';

MountHost.isOffered = true;
afterAll(endSpareMountHosts);
