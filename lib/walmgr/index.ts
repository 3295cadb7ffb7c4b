/** WAL archive in S3, base backups and point-in-time recovery. */
export { type StoredFile, WalArchive } from './archive/archive.ts';
export type { ArchiveIdentity } from './archive/identity.ts';
export { type ArchiveLocation, parseArchiveUrl } from './archive/location.ts';
export { type BackupRecord, listBackups, missingWal } from './backup/record.ts';
export { type BackupOptions, type BackupResult, takeBackup } from './backup/take.ts';
export { type ClusterConfig, clusterConfig } from './config.ts';
export { type FetchResult, fetchWal } from './fetch/fetch.ts';
export { type PullOptions, type PullResult, pullWal, type WalGap } from './pull/pull.ts';
export { type PushOptions, type PushResult, pushWal } from './push/push.ts';
export { ReplicationSource } from './replication/source.ts';
export { planRestore, type RestorePlan, type RestorePlanOptions } from './restore/plan.ts';
export { type RestoreOptions, type RestoreResult, restore } from './restore/restore.ts';
export type { RecoveryTarget } from './restore/target.ts';
export { type ExpiryPlan, expire, planExpiry, type RetentionPolicy } from './retention.ts';
export { type ArchiveReport, checkArchive, scrub } from './verify.ts';
