import { beforeAll, describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { KeyRing, openSealed, SecretBytes } from '@conclave/sealed';
import { createClient, intakeContext } from '../src/index.js';
import type { RpcPort } from '../src/index.js';
import { countingRandom, hang } from './support/fake-port.js';
import { VirtualTime } from './support/virtual-time.js';

beforeAll(() => openSealed());

/** What a manager answers: its key, nothing for ever, or that it is not there. */
type Manager = KeyRing | 'hangs' | 'down';

function portOf(manager: Manager, sent: Uint8Array[]): RpcPort {
  return {
    unary: async (method, request, options) => {
      await Promise.resolve();
      if (manager === 'hangs') return hang(options.signal);
      if (manager === 'down') throw new ConclaveError('CV_PEER_UNREACHABLE', 'down');
      if (method.path.endsWith('/GetInfo')) {
        return {
          clusterId: 'c1',
          intakePublicKey: manager.intakePublicKey(),
          secretValueBytesMax: 64,
        } as never;
      }
      sent.push((request as { sealedValue: Uint8Array }).sealedValue);
      return { version: 1 } as never;
    },
    stream: () => {
      throw new Error('not in use');
    },
    close: () => undefined,
  };
}

/** Sets a value over a port that meets the first of the managers; answers what was sent. */
async function set(managers: readonly Manager[], names = 'abc'): Promise<Uint8Array> {
  const time = new VirtualTime();
  const sent: Uint8Array[] = [];
  const ports = managers.map((manager, place) => ({
    ...portOf(manager, sent),
    peerId: () => names[place],
  }));
  const [first] = ports;
  if (first === undefined) throw new Error('no manager');
  const port = { ...first, each: () => ports.map((one) => Promise.resolve(one)) };
  const client = createClient(port, { clock: time, timers: time, random: countingRandom() });
  const value = SecretBytes.take(new TextEncoder().encode('value'));
  await time.finish(client.secrets.set('shop/db', value));
  const [sealed] = sent;
  if (sealed === undefined) throw new Error('nothing was sent');
  return sealed;
}

const honest = (): KeyRing => KeyRing.create(countingRandom());
/** A ring of its own: not drawn like the others. */
function foreign(): KeyRing {
  const random = countingRandom();
  random.bytes(1);
  return KeyRing.create(random);
}

const opens = (ring: KeyRing, sealed: Uint8Array): (() => SecretBytes) => {
  const context = intakeContext('shop/db');
  return () => ring.openIntake({ clusterId: 'c1', context, sealed });
};

describe('a value', () => {
  test('is not sealed to the key that one manager names, even when it is the one that is met', async () => {
    const ring = honest();
    const thief = foreign();
    const sealed = await set([thief, ring, ring]);
    expect(opens(ring, sealed)().size).toBe(5);
    expect(opens(thief, sealed)).toThrow(expect.objectContaining({ code: 'CV_ENVELOPE_FORGED' }));
  });

  test('does not wait for managers that hang or are down', async () => {
    const ring = honest();
    expect(opens(ring, await set([ring, 'hangs', ring]))().size).toBe(5);
    expect(opens(ring, await set([ring, ring, 'down']))().size).toBe(5);
  });

  test('is not sealed when no more than half can be asked', async () => {
    await expect(set([foreign(), 'down', 'down'])).rejects.toMatchObject({
      code: 'CV_PEER_UNREACHABLE',
      message: expect.stringContaining('1 of the 3 managers') as unknown,
    });
  });

  test('one manager has one voice, at however many addresses', async () => {
    const ring = honest();
    await expect(set([foreign(), foreign(), ring], 'aab')).rejects.toMatchObject({
      code: 'CV_STATE_STALE',
    });
    expect(opens(ring, await set([ring, ring], 'aa'))().size).toBe(5);
  });

  test('is not sealed when they do not agree', async () => {
    await expect(set([foreign(), honest()])).rejects.toMatchObject({ code: 'CV_STATE_STALE' });
  });
});
