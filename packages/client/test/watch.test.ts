import { describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import fc from 'fast-check';
import type { WatchEvent } from '../src/index.js';
import { collect, stage } from './support/fake-port.js';
import type { Attempt } from './support/fake-port.js';

const event = (index: number, id: string, action = 'updated'): WatchEvent => ({
  index,
  action,
  kind: 'task',
  id,
  name: '',
  state: '',
});

const lost = (): ConclaveError => new ConclaveError('CV_PEER_UNREACHABLE', 'lost');

/** What a manager would send for a request: everything behind its index. */
const after = (log: readonly WatchEvent[], { request }: Attempt): readonly WatchEvent[] =>
  log.filter(({ index }) => index > (request.afterIndex ?? 0));

describe('watch', () => {
  test('goes on behind the last event after each cut: none missing, none twice', async () => {
    const logs = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 });
    const cuts = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(logs, cuts, async (sizes, lengths) => {
        const log = sizes.flatMap((size, offset) =>
          Array.from({ length: size }, (_, part) => event(offset + 10, `${offset}.${part}`)),
        );
        const left = [...lengths];
        const { client, time } = stage({
          'Cluster/Watch': async function* (attempt) {
            const length = left.shift() ?? Number.POSITIVE_INFINITY;
            let count = 0;
            for (const item of after(log, attempt)) {
              if (count === length) throw lost();
              count += 1;
              yield item;
            }
            if (count === length) throw lost();
          },
        });
        const seen: WatchEvent[] = [];
        const work = (async () => {
          for await (const item of client.cluster.watch({ afterIndex: 1 })) seen.push(item);
        })();
        // A cut may fall where a resumed stream tells nothing new; then it is reported.
        const error: unknown = await time.finish(work).catch((caught: unknown) => caught);
        if (error === undefined) expect(seen).toEqual(log);
        else expect(seen).toEqual(log.slice(0, seen.length));
      }),
      { numRuns: 200 },
    );
  });

  test('resumes across a cut', async () => {
    const log = [event(10, 'a'), event(11, 'b'), event(11, 'c'), event(12, 'd')];
    let count = 0;
    const { attempts, client, time } = stage({
      'Cluster/Watch': async function* (attempt) {
        count += 1;
        for (const item of after(log, attempt)) {
          yield item;
          if (count === 1 && item.id === 'b') throw lost();
        }
      },
    });
    expect(await time.finish(collect(client.cluster.watch()))).toEqual(log);
    expect(attempts.map(({ request }) => request.afterIndex)).toEqual([0, 10]);
  });

  test('cannot resume before it knows where it is, and says so', async () => {
    const { client, time } = stage({
      'Cluster/Watch': async function* () {
        yield event(1, 'a', 'current');
        throw lost();
      },
    });
    const work = time.finish(collect(client.cluster.watch({ hasSnapshot: true })));
    await expect(work).rejects.toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
  });

  test('does not ask for the snapshot again once it had it', async () => {
    let count = 0;
    const { attempts, client, time } = stage({
      'Cluster/Watch': async function* () {
        count += 1;
        if (count > 1) return;
        yield event(7, 'a', 'current');
        yield event(7, '', 'synced');
        yield event(8, 'a');
        throw lost();
      },
    });
    await time.finish(collect(client.cluster.watch({ hasSnapshot: true, kinds: ['task'] })));
    expect(attempts.map(({ request }) => request)).toMatchObject([
      { snapshot: true, afterIndex: 0, kinds: ['task'] },
      { snapshot: false, afterIndex: 7, kinds: ['task'] },
    ]);
  });

  test('does not hide other errors', async () => {
    const { client, time } = stage({
      'Cluster/Watch': async function* () {
        yield event(8, 'a');
        throw new ConclaveError('CV_STATE_STALE', 'compacted');
      },
    });
    await expect(time.finish(collect(client.cluster.watch()))).rejects.toMatchObject({
      code: 'CV_STATE_STALE',
    });
  });
});
