// Pages of docs/reference that are made from tables in the sources: errors.md and wire.md.
import { buildSync } from 'esbuild';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './ensure.mjs';

/** The exports of a module of ours that imports nothing but its neighbours at run time. */
async function load(path) {
  const entry = { entryPoints: [join(root, path)], bundle: true, write: false, format: 'esm' };
  const [{ text }] = buildSync(entry).outputFiles;
  return import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`);
}

const KINDS = {
  usage: 'what was asked is malformed; nothing was done',
  missing: 'what is named does not exist',
  conflict: 'it exists already, is in use, or has changed since it was read',
  denied: 'this identity or token may not',
  limit: 'a stated bound is exceeded',
  'not-ready': 'no leader, no cluster, no manager yet; a retry may help',
  unavailable: 'no answer in time, cancelled, or the outcome is not known',
  corrupt: 'bytes do not pass their check; never retry',
  environment: 'a file, mount, permission or disk of this host',
  defect: 'a defect of Conclave',
};

const madeFrom = (source) =>
  `This page is made by \`npm run generate\` from \`${source}\`;\n\`npm run check\` compares both.\n`;

async function errorsPage() {
  const { ERROR_TABLE } = await load('packages/kernel/src/error-table.ts');
  const { EXIT_CODES } = await load('packages/kernel/src/exit-codes.ts');
  const kinds = Object.entries(EXIT_CODES).map(([kind, exit]) => {
    if (KINDS[kind] === undefined) throw new Error(`scripts/lib/reference.mjs: describe ${kind}`);
    return `| ${kind} | ${exit} | ${KINDS[kind]} |\n`;
  });
  const byCode = Object.entries(ERROR_TABLE).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const codes = byCode.map(
    ([code, { kind, status, when, next }]) =>
      `### \`${code}\`\n\n${when} ${next}\n\nKind ${kind}, exit code ${EXIT_CODES[kind]}, gRPC status ${status}.\n`,
  );
  return `# Errors

${madeFrom('packages/kernel/src/error-table.ts')}
Every error has a stable code. The command prints one sentence, which names the field or object, and
one hint with what to do next. Over gRPC the code travels as a detail of the status, so that a client
has the same code as the daemon. An error never contains a value or a token.

## Kinds and exit codes

| kind | exit code | meaning |
| --- | --- | --- |
${kinds.join('')}
## Codes

${codes.join('\n')}`;
}

const CALLERS = {
  viewer: '`viewer`',
  operator: '`operator`',
  'secret-writer': '`secret-writer`',
  auditor: '`auditor`',
  admin: '`admin`',
  local: 'administrator of this host',
  manager: 'manager',
  worker: 'worker',
  anonymous: 'anybody',
};

/** Name and the comment above it of every service, from the .proto files. */
function serviceComments() {
  const folder = join(root, 'proto/conclave/v1');
  const found = new Map();
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'utf8');
    for (const [, lines, service] of text.matchAll(/((?:^\/\/ .*\n)+)service (\w+) \{/gm)) {
      found.set(service, lines.replaceAll(/^\/\/ /gm, '').trim());
    }
  }
  return found;
}

function callersText(row) {
  return Object.entries(row)
    .map(([listener, callers]) => {
      const names = callers.map((caller) => {
        if (CALLERS[caller] === undefined) throw new Error(`describe the caller ${caller}`);
        return CALLERS[caller];
      });
      return `${listener}: ${names.join(', ')}`;
    })
    .join('; ');
}

async function wirePage() {
  const { AUTHORISATION } = await load('packages/transport/src/authorisation.ts');
  const { SERVICES } = await load('packages/wire/src/generated/descriptor.ts');
  const comments = serviceComments();
  const services = Object.entries(SERVICES).map(([service, methods]) => {
    const comment = comments.get(service);
    if (comment === undefined) throw new Error(`proto: service ${service} has no comment`);
    const rows = Object.entries(methods).map(([method, { kind, request, response }]) => {
      const row = AUTHORISATION[`/conclave.v1.${service}/${method}`];
      if (row === undefined) throw new Error(`no row of authorisation for ${service}/${method}`);
      return `| ${method} | ${kind} | ${request} → ${response} | ${callersText(row)} |\n`;
    });
    return `### ${service}

${comment}

| method | form | messages | who may call, by listener |
| --- | --- | --- | --- |
${rows.join('')}`;
  });
  return `# Services, ports and who may call

${madeFrom('packages/transport/src/authorisation.ts')}
All traffic is gRPC. The messages are in \`proto/conclave/v1\`; none has a field for the clear value of
a secret: a value comes in sealed to the cluster, and goes out sealed to the session of one agent.

## Listeners

| listener | where | identity of the caller |
| --- | --- | --- |
| cluster | managers, port 7420 | mutual TLS 1.3; certificate of this cluster, checked for every call against committed state |
| join | managers, port 7421 | TLS 1.3; only the manager shows a certificate, the caller proves a token |
| local | every daemon, unix socket \`conclave.sock\` in the run folder, mode 0600 | whoever may open the socket |

Workers listen on no port. TLS sessions are never resumed, and compressed messages are refused. A
call whose caller is not in the row of its method is answered with \`CV_ROLE_FORBIDDEN\`. Open streams
are checked again after each committed change of a node or administrator.

Words in \`code\` are roles of administrators with a certificate.

## Services

${services.join('\n')}`;
}

/** Path below the root to text. */
export async function referencePages() {
  return {
    'docs/reference/errors.md': await errorsPage(),
    'docs/reference/wire.md': await wirePage(),
  };
}
