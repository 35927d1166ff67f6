/** The services whose matrices are run. `4sync` speaks the protocol of `4shared`. */
import { acronis } from './acronis.js';
import { fiveSync } from './fivesync.js';
import { fourShared } from './fourshared.js';

export const services = { '4shared': fourShared, '5sync': fiveSync, acronis } as const;
export type ServiceName = keyof typeof services;
