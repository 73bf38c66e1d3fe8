import { limits } from '@conclave/kernel';

/** Agents at which the period reaches {@link PERIOD_STRETCH_MAX} times the usual one. */
export const PERIOD_STRETCH_AGENTS = 5_000;
/** 1.5 s become 5 s at 5 000 agents. */
export const PERIOD_STRETCH_MAX: number = 10 / 3;

/**
 * Milliseconds between heartbeats of an agent: the cluster's setting, stretched in proportion to
 * the number of agents. All managers and the leader compute it alike.
 * @param settingMs of the cluster; 0: the default
 */
export function heartbeatPeriodMs(settingMs: number, agentCount: number): number {
  const base = settingMs > 0 ? settingMs : limits.HEARTBEAT_PERIOD_MS;
  const share = Math.min(1, agentCount / PERIOD_STRETCH_AGENTS);
  return Math.round(base * (1 + share * (PERIOD_STRETCH_MAX - 1)));
}
