import { fourSharedSetup } from './fourshared-setup.js';
import { describeProviderContract } from './provider-contract.js';

describeProviderContract('4sync', fourSharedSetup('4sync'));
