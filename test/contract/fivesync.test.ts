import { fiveSyncSetup } from './fivesync-setup.js';
import { describeProviderContract } from './provider-contract.js';

describeProviderContract('5sync', fiveSyncSetup());
