/** Setup of the test files that mount: they share processes that mount repeatedly. */
import { afterAll } from 'vitest';
import { endSpareMountHosts, MountHost } from '../mount/mount-host.js';

MountHost.isOffered = true;
afterAll(endSpareMountHosts);
