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
 * What the engine may be told: what makes it stricter, and how much memory it may use. Everything
 * else opens a debugger, writes memory to a file, loads code or changes trust.
 */
const ENGINE_FLAGS: ReadonlySet<string> = new Set([
  '--disable-proto',
  '--disallow-code-generation-from-strings',
  '--max-old-space-size',
  '--max-semi-space-size',
  '--secure-heap',
  '--secure-heap-min',
]);

/** The flags of the engine, without their values, that may not be given. */
export function refusedEngineFlags(execArgv: readonly string[]): readonly string[] {
  return execArgv
    .filter((word) => word.startsWith('-'))
    .map((word) => (word.split('=')[0] ?? '').replaceAll('_', '-'))
    .filter((flag) => !ENGINE_FLAGS.has(flag))
    .sort();
}

/**
 * To be asked before anything listens or connects.
 * @param execArgv flags that the engine was started with
 * @throws CV_ENVIRONMENT_REFUSED naming every variable of {@link refusedVariables} or every flag of
 * {@link refusedEngineFlags}, never a value
 */
export function refuseEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  execArgv: readonly string[] = [],
): void {
  const variables = refusedVariables(environment);
  if (variables.length > 0) throw refusal('the environment sets', { variables });
  const flags = refusedEngineFlags(execArgv);
  if (flags.length > 0) throw refusal('Node was started with', { flags });
}

/**
 * Roots of the system and proxies: without effect on a connection under roots of its own. People set
 * them for everything on their machine.
 */
const HARMLESS_WITH_OWN_ROOTS: ReadonlySet<string> = new Set([
  'ALL_PROXY',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NODE_EXTRA_CA_CERTS',
  'NODE_USE_SYSTEM_CA',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
]);

/**
 * To be asked by a program of a person before it connects over the network.
 * @throws as {@link refuseEnvironment}, not for what has no effect on such a connection
 */
export function refuseCommandEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  execArgv: readonly string[],
): void {
  const kept = Object.entries(environment).filter(
    ([name]) => !HARMLESS_WITH_OWN_ROOTS.has(name.toUpperCase()),
  );
  refuseEnvironment(Object.fromEntries(kept), execArgv);
}

function refusal(
  what: string,
  details: Readonly<Record<string, readonly string[]>>,
): ConclaveError {
  const names = Object.values(details).flat().join(', ');
  const message = `${what} ${names}, which would weaken this process`;
  return new ConclaveError('CV_ENVIRONMENT_REFUSED', message, { details });
}
