import { describe, expect, test } from '@jest/globals';
import { refusedVariables, refuseEnvironment } from '../src/index.js';

describe('the environment', () => {
  test('an ordinary one is accepted', () => {
    expect(() =>
      refuseEnvironment({ PATH: '/bin', HOME: '/root', LANG: 'C', NODE_ENV: 'production' }),
    ).not.toThrow();
  });

  test('a variable without a value does no harm', () => {
    expect(refusedVariables({ NODE_OPTIONS: '', GRPC_TRACE: undefined })).toEqual([]);
  });

  test.each([
    'GRPC_SSL_CIPHER_SUITES',
    'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
    'GRPC_TRACE',
    'GRPC_NODE_VERBOSITY',
    'grpc_proxy',
    'https_proxy',
    'HTTP_PROXY',
    'ALL_PROXY',
    'NODE_OPTIONS',
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'OPENSSL_CONF',
    'OPENSSL_MODULES',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
    'SSLKEYLOGFILE',
  ])('%s is refused by name, its value is not told', (name) => {
    let failure: unknown;
    try {
      refuseEnvironment({ PATH: '/bin', [name]: 'hunter2' });
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: 'CV_ENVIRONMENT_REFUSED' });
    expect(String(failure)).toContain(name);
    expect(JSON.stringify(failure)).not.toContain('hunter2');
    expect(String(failure)).not.toContain('hunter2');
  });
});
