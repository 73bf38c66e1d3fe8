import { describe, expect, test } from '@jest/globals';
import { refuseCommandEnvironment, refusedVariables, refuseEnvironment } from '../src/index.js';

// Attack row T15.
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

describe('flags of the engine', () => {
  test.each([
    '--inspect',
    '--inspect-brk=127.0.0.1:9229',
    '--inspect_wait',
    '--heapsnapshot-signal=SIGUSR2',
    '--report-on-signal',
    '--diagnostic-dir=/tmp',
    '--tls-keylog=/tmp/keys',
    '--require',
    '-r',
    '--import=./spy.mjs',
    '--openssl-config=/tmp/openssl.cnf',
  ])('%s is refused, its value is not told', (flag) => {
    const name = flag.replace(/=.*$/, '').replaceAll('_', '-');
    for (const refuse of [refuseEnvironment, refuseCommandEnvironment]) {
      expect(() => refuse({}, ['--disable-proto=throw', flag])).toThrow(
        expect.objectContaining({
          code: 'CV_ENVIRONMENT_REFUSED',
          message: `Node was started with ${name}, which would weaken this process`,
        }),
      );
    }
  });

  test('those of the launcher and sizes of the heap are accepted', () => {
    const flags = [
      '--disable-proto=throw',
      '--disallow-code-generation-from-strings',
      '--secure-heap=1048576',
      '--max-old-space-size=512',
    ];
    expect(() => refuseEnvironment({}, flags)).not.toThrow();
  });
});

describe('a command that connects over the network', () => {
  test('does not mind roots and proxies, which have no effect on it', () => {
    const environment = { https_proxy: 'http://p', SSL_CERT_FILE: '/x', NODE_EXTRA_CA_CERTS: '/y' };
    expect(() => refuseCommandEnvironment(environment, [])).not.toThrow();
  });

  test.each(['NODE_OPTIONS', 'OPENSSL_CONF', 'GRPC_TRACE', 'NODE_DEBUG'])('refuses %s', (name) => {
    expect(() => refuseCommandEnvironment({ [name]: 'hunter2' }, [])).toThrow(
      expect.objectContaining({ code: 'CV_ENVIRONMENT_REFUSED' }),
    );
  });
});
