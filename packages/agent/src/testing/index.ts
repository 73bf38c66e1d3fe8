export { MemoryRecords } from './memory-records.js';
export { SimulatedExecutor } from './simulated-executor.js';
export { SimulatedTaskFiles } from './simulated-task-files.js';
