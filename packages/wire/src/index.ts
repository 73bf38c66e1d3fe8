export { loadWire } from './codec.js';
export type { Services } from './generated/services.js';
export { grpcDefinition } from './method.js';
export type { AnyMethod, Method, MethodKind } from './method.js';
export { ERROR_TRAILER, errorOf, statusOf } from './status.js';
export type { CallStatus, ForeignStatus } from './status.js';
// Messages: `X` is what a peer sent, `XInput` what may be given to send.
export type { Actor, ActorInput } from './generated/conclave/v1/Actor.js';
export type {
  AddSlotRequest,
  AddSlotRequestInput,
} from './generated/conclave/v1/AddSlotRequest.js';
export type { Admin, AdminInput } from './generated/conclave/v1/Admin.js';
export type {
  AgentHeartbeat,
  AgentHeartbeatInput,
} from './generated/conclave/v1/AgentHeartbeat.js';
export type { AgentHello, AgentHelloInput } from './generated/conclave/v1/AgentHello.js';
export type { AgentMessage, AgentMessageInput } from './generated/conclave/v1/AgentMessage.js';
export type {
  ApproveNodeRequest,
  ApproveNodeRequestInput,
} from './generated/conclave/v1/ApproveNodeRequest.js';
export type { AssignmentAck, AssignmentAckInput } from './generated/conclave/v1/AssignmentAck.js';
export type {
  AssignmentChunk,
  AssignmentChunkInput,
} from './generated/conclave/v1/AssignmentChunk.js';
export type {
  BecomeManagerRequest,
  BecomeManagerRequestInput,
} from './generated/conclave/v1/BecomeManagerRequest.js';
export type {
  BecomeManagerResponse,
  BecomeManagerResponseInput,
} from './generated/conclave/v1/BecomeManagerResponse.js';
export type { Binding, BindingInput } from './generated/conclave/v1/Binding.js';
export type {
  ChallengeRequest,
  ChallengeRequestInput,
} from './generated/conclave/v1/ChallengeRequest.js';
export type {
  ChallengeResponse,
  ChallengeResponseInput,
} from './generated/conclave/v1/ChallengeResponse.js';
export type { ClusterInfo, ClusterInfoInput } from './generated/conclave/v1/ClusterInfo.js';
export type {
  ClusterSettings,
  ClusterSettingsInput,
} from './generated/conclave/v1/ClusterSettings.js';
export type { ClusterStatus, ClusterStatusInput } from './generated/conclave/v1/ClusterStatus.js';
export type { Committed, CommittedInput } from './generated/conclave/v1/Committed.js';
export type {
  ConfirmRecoveryRequest,
  ConfirmRecoveryRequestInput,
} from './generated/conclave/v1/ConfirmRecoveryRequest.js';
export type {
  ConfirmRootsRequest,
  ConfirmRootsRequestInput,
} from './generated/conclave/v1/ConfirmRootsRequest.js';
export type {
  ConfirmRootsResponse,
  ConfirmRootsResponseInput,
} from './generated/conclave/v1/ConfirmRootsResponse.js';
export type {
  CreateAdminRequest,
  CreateAdminRequestInput,
} from './generated/conclave/v1/CreateAdminRequest.js';
export type {
  CreateAdminResponse,
  CreateAdminResponseInput,
} from './generated/conclave/v1/CreateAdminResponse.js';
export type {
  CreateServiceRequest,
  CreateServiceRequestInput,
} from './generated/conclave/v1/CreateServiceRequest.js';
export type {
  CreateTokenRequest,
  CreateTokenRequestInput,
} from './generated/conclave/v1/CreateTokenRequest.js';
export type {
  CreateTokenResponse,
  CreateTokenResponseInput,
} from './generated/conclave/v1/CreateTokenResponse.js';
export type {
  DestroySecretVersionRequest,
  DestroySecretVersionRequestInput,
} from './generated/conclave/v1/DestroySecretVersionRequest.js';
export type { ErrorDetail, ErrorDetailInput } from './generated/conclave/v1/ErrorDetail.js';
export type {
  ExposedVersion,
  ExposedVersionInput,
} from './generated/conclave/v1/ExposedVersion.js';
export type {
  GetClusterInfoRequest,
  GetClusterInfoRequestInput,
} from './generated/conclave/v1/GetClusterInfoRequest.js';
export type {
  GetClusterStatusRequest,
  GetClusterStatusRequestInput,
} from './generated/conclave/v1/GetClusterStatusRequest.js';
export type {
  GetNodeRequest,
  GetNodeRequestInput,
} from './generated/conclave/v1/GetNodeRequest.js';
export type {
  GetRecoveryRequest,
  GetRecoveryRequestInput,
} from './generated/conclave/v1/GetRecoveryRequest.js';
export type {
  GetRingRequest,
  GetRingRequestInput,
} from './generated/conclave/v1/GetRingRequest.js';
export type {
  GetRingResponse,
  GetRingResponseInput,
} from './generated/conclave/v1/GetRingResponse.js';
export type {
  GetRoleRequest,
  GetRoleRequestInput,
} from './generated/conclave/v1/GetRoleRequest.js';
export type {
  GetRoleResponse,
  GetRoleResponseInput,
} from './generated/conclave/v1/GetRoleResponse.js';
export type {
  GetSecretRequest,
  GetSecretRequestInput,
} from './generated/conclave/v1/GetSecretRequest.js';
export type {
  GetServiceRequest,
  GetServiceRequestInput,
} from './generated/conclave/v1/GetServiceRequest.js';
export type {
  GetSettingsRequest,
  GetSettingsRequestInput,
} from './generated/conclave/v1/GetSettingsRequest.js';
export type {
  GetTaskRequest,
  GetTaskRequestInput,
} from './generated/conclave/v1/GetTaskRequest.js';
export type { HeldVersion, HeldVersionInput } from './generated/conclave/v1/HeldVersion.js';
export type { InitRequest, InitRequestInput } from './generated/conclave/v1/InitRequest.js';
export type { InitResponse, InitResponseInput } from './generated/conclave/v1/InitResponse.js';
export type {
  JoinClusterRequest,
  JoinClusterRequestInput,
} from './generated/conclave/v1/JoinClusterRequest.js';
export type {
  JoinClusterResponse,
  JoinClusterResponseInput,
} from './generated/conclave/v1/JoinClusterResponse.js';
export type { JoinRequest, JoinRequestInput } from './generated/conclave/v1/JoinRequest.js';
export type { JoinResponse, JoinResponseInput } from './generated/conclave/v1/JoinResponse.js';
export type { KeySlot, KeySlotInput } from './generated/conclave/v1/KeySlot.js';
export type {
  LeaveClusterRequest,
  LeaveClusterRequestInput,
} from './generated/conclave/v1/LeaveClusterRequest.js';
export type {
  LeaveClusterResponse,
  LeaveClusterResponseInput,
} from './generated/conclave/v1/LeaveClusterResponse.js';
export type { LeaveRequest, LeaveRequestInput } from './generated/conclave/v1/LeaveRequest.js';
export type { LeaveResponse, LeaveResponseInput } from './generated/conclave/v1/LeaveResponse.js';
export type {
  ListAdminsRequest,
  ListAdminsRequestInput,
} from './generated/conclave/v1/ListAdminsRequest.js';
export type {
  ListNodesRequest,
  ListNodesRequestInput,
} from './generated/conclave/v1/ListNodesRequest.js';
export type {
  ListSecretsRequest,
  ListSecretsRequestInput,
} from './generated/conclave/v1/ListSecretsRequest.js';
export type {
  ListServicesRequest,
  ListServicesRequestInput,
} from './generated/conclave/v1/ListServicesRequest.js';
export type {
  ListSlotsRequest,
  ListSlotsRequestInput,
} from './generated/conclave/v1/ListSlotsRequest.js';
export type {
  ListSlotsResponse,
  ListSlotsResponseInput,
} from './generated/conclave/v1/ListSlotsResponse.js';
export type {
  ListTasksRequest,
  ListTasksRequestInput,
} from './generated/conclave/v1/ListTasksRequest.js';
export type {
  ListTokensRequest,
  ListTokensRequestInput,
} from './generated/conclave/v1/ListTokensRequest.js';
export type { LocalStatus, LocalStatusInput } from './generated/conclave/v1/LocalStatus.js';
export type {
  LocalStatusRequest,
  LocalStatusRequestInput,
} from './generated/conclave/v1/LocalStatusRequest.js';
export type { LogChunk, LogChunkInput } from './generated/conclave/v1/LogChunk.js';
export type { LogReply, LogReplyInput } from './generated/conclave/v1/LogReply.js';
export type { LogRequest, LogRequestInput } from './generated/conclave/v1/LogRequest.js';
export type { ManagerAccept, ManagerAcceptInput } from './generated/conclave/v1/ManagerAccept.js';
export type {
  ManagerAddress,
  ManagerAddressInput,
} from './generated/conclave/v1/ManagerAddress.js';
export type {
  ManagerMessage,
  ManagerMessageInput,
} from './generated/conclave/v1/ManagerMessage.js';
export type { ManagerStatus, ManagerStatusInput } from './generated/conclave/v1/ManagerStatus.js';
export type { Node, NodeInput } from './generated/conclave/v1/Node.js';
export type {
  NodeExposureRequest,
  NodeExposureRequestInput,
} from './generated/conclave/v1/NodeExposureRequest.js';
export type { NodePage, NodePageInput } from './generated/conclave/v1/NodePage.js';
export type { OnChange, OnChangeInput } from './generated/conclave/v1/OnChange.js';
export type { Problem, ProblemInput } from './generated/conclave/v1/Problem.js';
export type {
  ProposeOutcome,
  ProposeOutcomeInput,
} from './generated/conclave/v1/ProposeOutcome.js';
export type {
  ProposeRequest,
  ProposeRequestInput,
} from './generated/conclave/v1/ProposeRequest.js';
export type {
  ProposeResponse,
  ProposeResponseInput,
} from './generated/conclave/v1/ProposeResponse.js';
export type { RaftAck, RaftAckInput } from './generated/conclave/v1/RaftAck.js';
export type { RaftBatch, RaftBatchInput } from './generated/conclave/v1/RaftBatch.js';
export type { RaftPeer, RaftPeerInput } from './generated/conclave/v1/RaftPeer.js';
export type { ReceiptReport, ReceiptReportInput } from './generated/conclave/v1/ReceiptReport.js';
export type {
  ReceiptReports,
  ReceiptReportsInput,
} from './generated/conclave/v1/ReceiptReports.js';
export type {
  RecoverRequest,
  RecoverRequestInput,
} from './generated/conclave/v1/RecoverRequest.js';
export type {
  RecoverResponse,
  RecoverResponseInput,
} from './generated/conclave/v1/RecoverResponse.js';
export type { Recovery, RecoveryInput } from './generated/conclave/v1/Recovery.js';
export type {
  RecoveryPublicKey,
  RecoveryPublicKeyInput,
} from './generated/conclave/v1/RecoveryPublicKey.js';
export type {
  RemoveNodeRequest,
  RemoveNodeRequestInput,
} from './generated/conclave/v1/RemoveNodeRequest.js';
export type {
  RemoveNodeResponse,
  RemoveNodeResponseInput,
} from './generated/conclave/v1/RemoveNodeResponse.js';
export type {
  RemoveSecretRequest,
  RemoveSecretRequestInput,
} from './generated/conclave/v1/RemoveSecretRequest.js';
export type {
  RemoveServiceRequest,
  RemoveServiceRequestInput,
} from './generated/conclave/v1/RemoveServiceRequest.js';
export type {
  RemoveSlotRequest,
  RemoveSlotRequestInput,
} from './generated/conclave/v1/RemoveSlotRequest.js';
export type { RenewRequest, RenewRequestInput } from './generated/conclave/v1/RenewRequest.js';
export type { RenewResponse, RenewResponseInput } from './generated/conclave/v1/RenewResponse.js';
export type { ReportAck, ReportAckInput } from './generated/conclave/v1/ReportAck.js';
export type { RestartPolicy, RestartPolicyInput } from './generated/conclave/v1/RestartPolicy.js';
export type {
  RevokeAdminRequest,
  RevokeAdminRequestInput,
} from './generated/conclave/v1/RevokeAdminRequest.js';
export type {
  RevokeTokenRequest,
  RevokeTokenRequestInput,
} from './generated/conclave/v1/RevokeTokenRequest.js';
export type { RingStatus, RingStatusInput } from './generated/conclave/v1/RingStatus.js';
export type {
  RollbackSecretRequest,
  RollbackSecretRequestInput,
} from './generated/conclave/v1/RollbackSecretRequest.js';
export type { RootStatus, RootStatusInput } from './generated/conclave/v1/RootStatus.js';
export type { Roots, RootsInput } from './generated/conclave/v1/Roots.js';
export type {
  RotateRingRequest,
  RotateRingRequestInput,
} from './generated/conclave/v1/RotateRingRequest.js';
export type {
  RotateRootRequest,
  RotateRootRequestInput,
} from './generated/conclave/v1/RotateRootRequest.js';
export type {
  ScaleServiceRequest,
  ScaleServiceRequestInput,
} from './generated/conclave/v1/ScaleServiceRequest.js';
export type { Secret, SecretInput } from './generated/conclave/v1/Secret.js';
export type { SecretEvent, SecretEventInput } from './generated/conclave/v1/SecretEvent.js';
export type {
  SecretHistoryRequest,
  SecretHistoryRequestInput,
} from './generated/conclave/v1/SecretHistoryRequest.js';
export type { SecretPage, SecretPageInput } from './generated/conclave/v1/SecretPage.js';
export type { SecretPart, SecretPartInput } from './generated/conclave/v1/SecretPart.js';
export type {
  SecretStatusRequest,
  SecretStatusRequestInput,
} from './generated/conclave/v1/SecretStatusRequest.js';
export type { SecretUse, SecretUseInput } from './generated/conclave/v1/SecretUse.js';
export type { SecretVersion, SecretVersionInput } from './generated/conclave/v1/SecretVersion.js';
export type { Service, ServiceInput } from './generated/conclave/v1/Service.js';
export type {
  ServiceLogsRequest,
  ServiceLogsRequestInput,
} from './generated/conclave/v1/ServiceLogsRequest.js';
export type { ServicePage, ServicePageInput } from './generated/conclave/v1/ServicePage.js';
export type {
  ServiceResponse,
  ServiceResponseInput,
} from './generated/conclave/v1/ServiceResponse.js';
export type { ServiceSpec, ServiceSpecInput } from './generated/conclave/v1/ServiceSpec.js';
export type { SessionInfo, SessionInfoInput } from './generated/conclave/v1/SessionInfo.js';
export type { SessionName, SessionNameInput } from './generated/conclave/v1/SessionName.js';
export type { SessionOpened, SessionOpenedInput } from './generated/conclave/v1/SessionOpened.js';
export type {
  SessionsRequest,
  SessionsRequestInput,
} from './generated/conclave/v1/SessionsRequest.js';
export type {
  SessionsResponse,
  SessionsResponseInput,
} from './generated/conclave/v1/SessionsResponse.js';
export type {
  SetNodeRoleRequest,
  SetNodeRoleRequestInput,
} from './generated/conclave/v1/SetNodeRoleRequest.js';
export type {
  SetSecretRequest,
  SetSecretRequestInput,
} from './generated/conclave/v1/SetSecretRequest.js';
export type {
  SetSecretResponse,
  SetSecretResponseInput,
} from './generated/conclave/v1/SetSecretResponse.js';
export type { SnapshotChunk, SnapshotChunkInput } from './generated/conclave/v1/SnapshotChunk.js';
export type {
  SnapshotResult,
  SnapshotResultInput,
} from './generated/conclave/v1/SnapshotResult.js';
export type {
  StageRecoveryRequest,
  StageRecoveryRequestInput,
} from './generated/conclave/v1/StageRecoveryRequest.js';
export type {
  StageRecoveryResponse,
  StageRecoveryResponseInput,
} from './generated/conclave/v1/StageRecoveryResponse.js';
export type { Task, TaskInput } from './generated/conclave/v1/Task.js';
export type {
  TaskAssignment,
  TaskAssignmentInput,
} from './generated/conclave/v1/TaskAssignment.js';
export type { TaskPage, TaskPageInput } from './generated/conclave/v1/TaskPage.js';
export type { TaskReceipt, TaskReceiptInput } from './generated/conclave/v1/TaskReceipt.js';
export type { TaskReport, TaskReportInput } from './generated/conclave/v1/TaskReport.js';
export type { TaskReports, TaskReportsInput } from './generated/conclave/v1/TaskReports.js';
export type { TaskSecret, TaskSecretInput } from './generated/conclave/v1/TaskSecret.js';
export type { Token, TokenInput } from './generated/conclave/v1/Token.js';
export type { UnlockRequest, UnlockRequestInput } from './generated/conclave/v1/UnlockRequest.js';
export type {
  UnlockResponse,
  UnlockResponseInput,
} from './generated/conclave/v1/UnlockResponse.js';
export type {
  UpdateNodeRequest,
  UpdateNodeRequestInput,
} from './generated/conclave/v1/UpdateNodeRequest.js';
export type { UpdatePolicy, UpdatePolicyInput } from './generated/conclave/v1/UpdatePolicy.js';
export type {
  UpdateSecretRequest,
  UpdateSecretRequestInput,
} from './generated/conclave/v1/UpdateSecretRequest.js';
export type {
  UpdateServiceRequest,
  UpdateServiceRequestInput,
} from './generated/conclave/v1/UpdateServiceRequest.js';
export type {
  UpdateSettingsRequest,
  UpdateSettingsRequestInput,
} from './generated/conclave/v1/UpdateSettingsRequest.js';
export type { WatchEvent, WatchEventInput } from './generated/conclave/v1/WatchEvent.js';
export type { WatchRequest, WatchRequestInput } from './generated/conclave/v1/WatchRequest.js';
export type { WriteMark, WriteMarkInput } from './generated/conclave/v1/WriteMark.js';
// End of messages.
