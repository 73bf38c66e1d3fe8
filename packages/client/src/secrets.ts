import { checkLabels, checkSecretName, isConclaveError } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type {
  Committed,
  Secret,
  SecretEvent,
  SecretPage,
  SecretUse,
  SetSecretResponse,
} from '@conclave/wire';
import { idempotencyKey, read, readPages, readStream, write } from './calls.js';
import type { CallOptions, ClientContext, ReadOptions, WriteOptions } from './context.js';
import { waitForDelivery } from './delivery.js';
import type { DeliveryProgress, WaitOptions } from './delivery.js';
import type { InfoSource } from './info-source.js';
import { sealValue } from './seal-value.js';

type Labels = Readonly<Record<string, string>>;

/** Settings of `secrets.set`. */
export interface SetSecretOptions extends WriteOptions {
  /** Only for a name that is new. */
  readonly labels?: Labels | undefined;
  /** Only for a name that is new. */
  readonly description?: string | undefined;
  /** Refuse when the name exists (`CV_NAME_TAKEN`); default false. */
  readonly isCreateOnly?: boolean | undefined;
  /** A new version even when the value is the current one; default false. */
  readonly isForced?: boolean | undefined;
  /** Refuse when the secret changed since it was read at this object version. */
  readonly objectVersion?: number | undefined;
}

/** Which secrets `secrets.list` answers. */
export interface ListSecretsOptions extends ReadOptions {
  readonly namePrefix?: string | undefined;
  /** All of these pairs; an empty value means that the key is there. */
  readonly labels?: Labels | undefined;
}

/** Metadata of a secret: replaces what was there. */
export interface SecretChange {
  readonly objectVersion: number;
  readonly labels: Labels;
  readonly description: string;
}

/**
 * Secrets and their versions. A secret is named by name or id. Nothing here answers a value: values
 * go to running tasks only.
 */
export interface SecretsApi {
  /**
   * Makes a new version and points the name at it. The value is sealed to the cluster before it is
   * sent, is not kept, and is not wiped: that is the caller's.
   * @throws CV_NAME_INVALID, CV_ARGUMENT_INVALID, CV_SECRET_TOO_LARGE, CV_NAME_TAKEN
   */
  set(name: string, value: SecretBytes, options?: SetSecretOptions): Promise<SetSecretResponse>;
  /** @throws CV_SECRET_NOT_FOUND */
  get(secret: string, options?: ReadOptions): Promise<Secret>;
  /** In natural order of names. */
  list(options?: ListSecretsOptions): AsyncIterable<Secret>;
  /** What was done to it, oldest first. */
  history(secret: string, options?: CallOptions): AsyncIterable<SecretEvent>;
  /** One line per binding of a live task. */
  status(secret: string, options?: CallOptions): AsyncIterable<SecretUse>;
  /** Replaces labels and description; no version is made. @throws CV_VERSION_STALE */
  update(secret: string, change: SecretChange, options?: WriteOptions): Promise<Secret>;
  /** Points the name at an older live version; 0: the previous one. */
  rollback(secret: string, version: number, options?: WriteOptions): Promise<SetSecretResponse>;
  /** Drops key and ciphertext of a version for ever. @throws CV_SECRET_IN_USE unless forced */
  destroyVersion(
    secret: string,
    version: number,
    options?: WriteOptions & { readonly isForced?: boolean | undefined },
  ): Promise<Committed>;
  /** @throws CV_SECRET_IN_USE while a service or a live task refers to it */
  remove(secret: string, options?: WriteOptions): Promise<Committed>;
  /** Waits until every running task that follows the name has `version`; see `DeliveryProgress`. */
  waitForDelivery(
    secret: string,
    version: number,
    options?: WaitOptions,
  ): Promise<DeliveryProgress>;
}

async function setSecret(
  context: ClientContext,
  source: InfoSource,
  input: { name: string; value: SecretBytes; options: SetSecretOptions },
): Promise<SetSecretResponse> {
  const { name, options, value } = input;
  checkSecretName(name);
  checkLabels(options.labels ?? {});
  const info = await source.current(options);
  const sealedValue = await sealValue({ name, value, info, random: context.random });
  const request = (key: string) => ({
    name,
    sealedValue,
    labels: { ...options.labels },
    description: options.description ?? '',
    createOnly: options.isCreateOnly ?? false,
    force: options.isForced ?? false,
    objectVersion: options.objectVersion ?? 0,
    idempotencyKey: key,
  });
  return await write(context, { method: loadWire().Secrets.Set, request }, options);
}

/** The intake key changes when the key ring does; then the value is sealed again, once. */
async function setWithFreshKey(
  context: ClientContext,
  source: InfoSource,
  input: { name: string; value: SecretBytes; options: SetSecretOptions },
): Promise<SetSecretResponse> {
  const key = idempotencyKey(context, input.options);
  const keyed = { ...input, options: { ...input.options, idempotencyKey: key } };
  try {
    return await setSecret(context, source, keyed);
  } catch (error) {
    if (!isConclaveError(error) || error.code !== 'CV_ENVELOPE_FORGED') throw error;
    source.forget();
    return await setSecret(context, source, keyed);
  }
}

/** Secrets over `context`'s port. */
export function createSecretsApi(context: ClientContext, source: InfoSource): SecretsApi {
  const wire = loadWire().Secrets;
  const api: SecretsApi = {
    set: (name, value, options = {}) => setWithFreshKey(context, source, { name, value, options }),
    get: (secret, options = {}) =>
      read(
        context,
        { method: wire.Get, request: { secret, stale: options.isStale ?? false } },
        options,
      ),
    list: (options = {}) => {
      const { namePrefix = '', labels = {}, isStale = false } = options;
      const request = { namePrefix, labels: { ...labels }, stale: isStale };
      const call = { method: wire.List, request, itemsOf: (page: SecretPage) => page.secrets };
      return readPages(context, call, options);
    },
    history: (secret, options = {}) =>
      readStream(context, { method: wire.History, request: { secret } }, options),
    status: (secret, options = {}) =>
      readStream(context, { method: wire.Status, request: { secret } }, options),
    update: (secret, change, options = {}) => {
      const { objectVersion, description } = change;
      const request = (key: string) => ({
        secret,
        objectVersion,
        description,
        labels: { ...change.labels },
        idempotencyKey: key,
      });
      return write(context, { method: wire.Update, request }, options);
    },
    rollback: (secret, version, options = {}) => {
      const request = (key: string) => ({ secret, version, idempotencyKey: key });
      return write(context, { method: wire.Rollback, request }, options);
    },
    destroyVersion: (secret, version, options = {}) => {
      const force = options.isForced ?? false;
      const request = (key: string) => ({ secret, version, force, idempotencyKey: key });
      return write(context, { method: wire.DestroyVersion, request }, options);
    },
    remove: (secret, options = {}) => {
      const request = (key: string) => ({ secret, idempotencyKey: key });
      return write(context, { method: wire.Remove, request }, options);
    },
    waitForDelivery: (secret, version, options = {}) =>
      waitForDelivery(
        context,
        { secret, version, status: (name, calls) => api.status(name, calls) },
        options,
      ),
  };
  return api;
}
