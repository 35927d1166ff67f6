import { fourSharedSetup } from './fourshared-setup.js';
import { describeProviderContract } from './provider-contract.js';

describeProviderContract('4shared', fourSharedSetup('4shared'));
