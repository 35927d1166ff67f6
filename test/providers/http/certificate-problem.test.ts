import { expect, it } from 'vitest';
import { certificateProblem } from '../../../src/providers/http/transport/certificate-problem.js';

it.each([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /NODE_EXTRA_CA_CERTS/],
  ['SELF_SIGNED_CERT_IN_CHAIN', /NODE_EXTRA_CA_CERTS/],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /NODE_EXTRA_CA_CERTS/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /NODE_EXTRA_CA_CERTS/],
  ['CERT_HAS_EXPIRED', /clock/],
  ['CERT_NOT_YET_VALID', /clock/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /another host/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', /TLS failed/],
])('%s says what to do', (code, words) => {
  expect(certificateProblem(code)).toMatch(words);
  expect(certificateProblem(code)).toContain(`(${code})`);
});

it.each(['ECONNRESET', 'ENOTFOUND', '', 'UND_ERR_SOCKET'])('%j is no error of TLS', (code) => {
  expect(certificateProblem(code)).toBeUndefined();
});
