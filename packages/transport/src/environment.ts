import { ConclaveError } from '@conclave/kernel';

/** Exact names, in upper case; the environment is compared without case. */
const REFUSED_NAMES: ReadonlySet<string> = new Set([
  'ALL_PROXY',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NODE_COMPILE_CACHE',
  'NODE_DEBUG',
  'NODE_DEBUG_NATIVE',
  'NODE_EXTRA_CA_CERTS',
  'NODE_OPTIONS',
  'NODE_PATH',
  'NODE_REPL_EXTERNAL_MODULE',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_USE_SYSTEM_CA',
  'NODE_V8_COVERAGE',
  'OPENSSL_CONF',
  'OPENSSL_CONF_INCLUDE',
  'OPENSSL_ENGINES',
  'OPENSSL_MODULES',
  'SSLKEYLOGFILE',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
]);

/** Every variable that grpc-js reads begins so: ciphers, roots, traces, proxies. */
const REFUSED_PREFIX = 'GRPC_';

function isRefused(name: string): boolean {
  const upper = name.toUpperCase();
  return REFUSED_NAMES.has(upper) || upper.startsWith(REFUSED_PREFIX);
}

/**
 * The names of set variables that change trust, ciphers, tracing or what code runs, sorted. Reads
 * nothing but its argument; a variable that is set to nothing does no harm and is not named.
 */
export function refusedVariables(
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  return Object.keys(environment)
    .filter((name) => isRefused(name) && (environment[name] ?? '') !== '')
    .sort();
}

/**
 * To be asked before anything listens or connects.
 * @throws CV_ENVIRONMENT_REFUSED naming every variable of {@link refusedVariables}, never a value.
 */
export function refuseEnvironment(environment: Readonly<Record<string, string | undefined>>): void {
  const names = refusedVariables(environment);
  if (names.length === 0) return;
  throw new ConclaveError(
    'CV_ENVIRONMENT_REFUSED',
    `the environment sets ${names.join(', ')}, which would weaken this process`,
    { details: { variables: names } },
  );
}
