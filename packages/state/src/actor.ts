/** Who did something. */
export interface Actor {
  readonly kind: 'admin' | 'node' | 'system';
  readonly id: string;
}
