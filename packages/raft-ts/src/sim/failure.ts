/** A promise of Raft, or of this library, was broken in a run. */
export class SimFailure extends Error {
  override readonly name = 'SimFailure';
  /** Number of the invariant, 1..12, and its name. */
  readonly invariant: string;

  /**
   * @param invariant which one
   * @param message what was seen
   * @param options the cause, if it was an exception of the core
   */
  constructor(invariant: string, message: string, options?: ErrorOptions) {
    super(`${invariant}: ${message}`, options);
    this.invariant = invariant;
  }
}
