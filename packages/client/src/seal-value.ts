import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { openSealed, sealIntake } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import type { ClusterInfo } from '@conclave/wire';

/** What a sealed value is bound to besides the cluster: the name under which it will be stored. */
export function intakeContext(name: string): Uint8Array {
  return new TextEncoder().encode(`secret.set\n${name}`);
}

/** What to seal and for whom. */
export interface SealValueInput {
  readonly name: string;
  readonly value: SecretBytes;
  readonly info: ClusterInfo;
  readonly random: Random;
}

/**
 * The value sealed to the cluster's intake key: only an unlocked manager opens it, and only under
 * this name. Does not wipe `value`.
 * @throws CV_ARGUMENT_INVALID for an empty value
 * @throws CV_SECRET_TOO_LARGE for one above the cluster's limit
 */
export async function sealValue(input: SealValueInput): Promise<Uint8Array> {
  const { info, name, random, value } = input;
  if (value.size === 0) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'the value is empty', {
      details: { field: 'value' },
    });
  }
  if (value.size > info.secretValueBytesMax) {
    throw new ConclaveError(
      'CV_SECRET_TOO_LARGE',
      `the value has ${value.size} bytes, the limit is ${info.secretValueBytesMax}`,
    );
  }
  await openSealed();
  return sealIntake({
    publicKey: info.intakePublicKey,
    clusterId: info.clusterId,
    context: intakeContext(name),
    value,
    random,
  });
}
