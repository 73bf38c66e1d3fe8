import { test } from '@jest/globals';
import { TestCluster } from './cluster.js';
const cpu = (): number => process.cpuUsage().user / 1000;
test('bench', async () => {
  const c = new TestCluster();
  for (let n = 0; n < 300; n += 1) c.addWorker(`n${n}`);
  c.scheduler.start();
  await c.settle();
  const apply = c.apply.bind(c);
  let inApply = 0;
  c.apply = (b) => { const s = cpu(); const r = apply(b); inApply += cpu() - s; return r; };
  let t = cpu();
  const lap = (what: string): void => { console.log('place', what, Math.round(cpu() - t), 'of it apply', Math.round(inApply), c.proposals.length); t = cpu(); inApply = 0; };
  for (let s = 0; s < 1; s += 1) c.create({ name: `s${s}`, replicas: 10000 });
  await c.settle();
  lap('50k tasks');
  const reports = [...c.state.tasks()].map((task) => ({ nodeId: task.nodeId, taskId: task.id, state: 'RUNNING' as const, message: '', error: '', exitCode: undefined, atMs: 1 }));
  for (let i = 0; i < reports.length; i += 500) { c.mustApply({ kind: 'tasks.report', reports: reports.slice(i, i + 500) }); await c.settle(); }
  lap('100 batches of 500 reports');
  for (let i = 0; i < 60; i += 1) { c.mustApply({ kind: 'tasks.report', reports: [{ ...reports[i]!, state: 'FAILED' }] }); await c.settle(); }
  lap('20 failures');
  c.create({ name: 'small', replicas: 1 }); await c.settle();
  lap('small service');
  c.down('n7'); await c.settle();
  lap('node down');
  c.create({ name: 'glob', mode: 'global', replicas: 0 }); await c.settle();
  lap('global');
}, 400000);
