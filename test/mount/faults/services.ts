/** The services whose matrices are run. `4sync` speaks the protocol of `4shared`. */
import { fourShared } from './fourshared.js';

export const services = { '4shared': fourShared } as const;
export type ServiceName = keyof typeof services;
