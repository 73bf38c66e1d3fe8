import { describe, expect, test } from '@jest/globals';
import type { NodeRow } from '@conclave/state';
import { parseConstraint, parseConstraints, satisfies } from '../../src/scheduling/constraints.js';

const NODE: NodeRow = {
  id: 'node-1',
  hostname: 'alpha',
  role: 'worker',
  wantedRole: 'worker',
  state: 'READY',
  stateAtMs: 0,
  message: '',
  availability: 'active',
  labels: { zone: 'a', 'com.example/disk': 'ssd', wild: 'a*c' },
  platformOs: 'linux',
  daemonVersion: '',
  executors: ['process'],
  certificate: { serial: '', notAfterMs: 0, publicKeyHash: '', root: 1, notBeforeMs: 0 },
  previousCertificate: undefined,
  previousUntilMs: 0,
  manager: undefined,
  waiting: undefined,
  sessionId: '',
  rootStep: 0,
  sessionCount: 0,
  tokenId: '',
  createdAtMs: 0,
  objectVersion: 1,
};

function holds(text: string): boolean {
  const constraint = parseConstraint(text);
  if (constraint === undefined) throw new Error(`not a constraint: ${text}`);
  return satisfies(NODE, constraint);
}

describe('constraints', () => {
  test.each([
    'node.id==node-1',
    'node.hostname == alpha',
    'hostname!=beta',
    'node.role==worker',
    'node.platform.os==linux',
    'platform.os!=windows',
    'labels.zone==a',
    'node.labels.zone==a',
    'labels.com.example/disk==ssd',
    'labels.zone!=b',
    'labels.missing!=anything',
    'labels.wild==a*c',
    'labels.__proto__!=x',
  ])('hold: %s', (text) => {
    expect(holds(text)).toBe(true);
  });

  test.each([
    'node.id!=node-1',
    'labels.missing==a',
    'labels.zone==A',
    'labels.zone==*',
    'labels.wild==abc',
    'node.hostname==alph*',
    'labels.toString==x',
  ])('do not hold: %s', (text) => {
    expect(holds(text)).toBe(false);
  });

  test.each([
    '',
    '==a',
    'labels.==a',
    'node.labels.==a',
    'node.ip==10.0.0.0/8',
    'labels.zone=a',
    'labels.zone',
    'labels.zone==',
    'zone==a',
    'constructor==a',
    'labels.a b==c',
  ])('are refused: %p', (text) => {
    expect(parseConstraint(text)).toBeUndefined();
  });

  test('one that does not parse is satisfied by no node', () => {
    const [constraint] = parseConstraints(['node.ip==10.0.0.0/8']);
    if (constraint === undefined) throw new Error('no constraint');
    expect(satisfies(NODE, constraint)).toBe(false);
    expect(satisfies({ ...NODE, id: '' }, constraint)).toBe(true);
  });

  test('reading takes time in proportion to the text', () => {
    const text = `labels.${'='.repeat(50_000)}!`;
    expect(parseConstraint(text)).toBeUndefined();
  });
});
