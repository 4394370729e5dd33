//! Routes about roles that are activated (Azure's PIM): who is eligible, what is asked for, what it takes, and who
//! says yes.

use std::fmt;

use hourgate_core::role::{
    activation::{ActivationId, EligibilityId},
    definition::RoleId,
};
use uuid::Uuid;

use super::{
    PathError,
    filter::{self, Term},
    roles::guid,
};
use crate::error::ArmError;

/// What a schedule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A role that somebody has.
    Assignment,
    /// One that they may activate.
    Eligibility,
}

/// What is served at a scope of roles that are activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PimRoute {
    /// What was asked for.
    Requests(Of),
    /// One request.
    Request(Of, Uuid),
    /// Take one back.
    Cancel(Of, Uuid),
    /// Tell what would come of one.
    Validate(Of, Uuid),
    /// What stands.
    Schedules(Of),
    /// One of it.
    Schedule(Of, Uuid),
    /// What holds now.
    Instances(Of),
    /// One of it.
    Instance(Of, EligibilityId),
    /// What it takes to activate roles.
    Policies,
    /// What it takes to activate one.
    Policy(RoleId),
    /// Which of those is for which role.
    PolicyAssignments,
    /// The one that is for a role.
    PolicyAssignment(RoleId),
}

/// What is served of decisions about activations, at a scope or of the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalRoute {
    /// Those that wait for a decision.
    All,
    /// One.
    One(ActivationId),
    /// Its stages: one.
    Stages(ActivationId),
    /// That stage.
    Stage(ActivationId, Uuid),
}

impl Of {
    const fn word(self) -> &'static str {
        match self {
            Of::Assignment => "roleAssignment",
            Of::Eligibility => "roleEligibility",
        }
    }
}

/// What stands behind Azure's provider; none if it is not about activation.
pub(super) fn behind(folded: &[&str], sent: &[String]) -> Option<Result<PimRoute, PathError>> {
    let id = |index: usize| guid("schedule", &sent[index]);
    let (first, rest) = folded.split_first()?;
    let route = match (*first, rest) {
        ("rolemanagementpolicies", []) => Ok(PimRoute::Policies),
        ("rolemanagementpolicies", [_]) => id(1).map(PimRoute::Policy),
        ("rolemanagementpolicyassignments", []) => Ok(PimRoute::PolicyAssignments),
        ("rolemanagementpolicyassignments", [name]) => {
            policy_assignment(name).map(PimRoute::PolicyAssignment)
        }
        (word, rest) => {
            let (of, what) = of_word(word)?;
            match (what, rest) {
                ("schedulerequests", []) => Ok(PimRoute::Requests(of)),
                ("schedulerequests", [_]) => id(1).map(|id| PimRoute::Request(of, id)),
                ("schedulerequests", [_, "cancel"]) => id(1).map(|id| PimRoute::Cancel(of, id)),
                ("schedulerequests", [_, "validate"]) => id(1).map(|id| PimRoute::Validate(of, id)),
                ("schedules", []) => Ok(PimRoute::Schedules(of)),
                ("schedules", [_]) => id(1).map(|id| PimRoute::Schedule(of, id)),
                ("scheduleinstances", []) => Ok(PimRoute::Instances(of)),
                ("scheduleinstances", [_]) => id(1).map(|id| PimRoute::Instance(of, id)),
                _ => return None,
            }
        }
    };
    Some(route)
}

/// Which of both a word begins with, and what stands behind that.
fn of_word(word: &str) -> Option<(Of, &str)> {
    let kinds = [("roleassignment", Of::Assignment), ("roleeligibility", Of::Eligibility)];
    kinds.into_iter().find_map(|(kind, of)| Some((of, word.strip_prefix(kind)?)))
}

/// `{policy}_{role}`: a role's policy has the role's own id.
fn policy_assignment(sent: &str) -> Result<RoleId, PathError> {
    let what = "role management policy assignment";
    let (policy, role) = sent.split_once('_').unwrap_or((sent, sent));
    let (policy, role) = (guid(what, policy)?, guid(what, role)?);
    if policy == role { Ok(role) } else { Err(PathError::NotAGuid { what, sent: sent.to_owned() }) }
}

/// What is served of decisions; none if it is not about them.
pub(super) fn approvals(
    folded: &[&str],
    sent: &[String],
) -> Option<Result<ApprovalRoute, PathError>> {
    let id = |index: usize| guid("approval", &sent[index]);
    let route = match folded {
        ["roleassignmentapprovals"] => Ok(ApprovalRoute::All),
        ["roleassignmentapprovals", _] => id(1).map(ApprovalRoute::One),
        ["roleassignmentapprovals", _, "stages"] => id(1).map(ApprovalRoute::Stages),
        ["roleassignmentapprovals", _, "stages", _] => {
            id(1).and_then(|approval| Ok(ApprovalRoute::Stage(approval, id(3)?)))
        }
        _ => return None,
    };
    Some(route)
}

impl PimRoute {
    pub(super) fn methods(self) -> &'static [&'static str] {
        match self {
            PimRoute::Request(..) => &["GET", "PUT"],
            PimRoute::Cancel(..) | PimRoute::Validate(..) => &["POST"],
            PimRoute::Policy(_) => &["GET", "PATCH"],
            PimRoute::Requests(_)
            | PimRoute::Schedules(_)
            | PimRoute::Schedule(..)
            | PimRoute::Instances(_)
            | PimRoute::Instance(..)
            | PimRoute::Policies
            | PimRoute::PolicyAssignments
            | PimRoute::PolicyAssignment(_) => &["GET"],
        }
    }
}

impl ApprovalRoute {
    pub(super) fn methods(self) -> &'static [&'static str] {
        match self {
            ApprovalRoute::All | ApprovalRoute::One(_) | ApprovalRoute::Stages(_) => &["GET"],
            // Azure names PATCH, and its SDK has PUT for the scoped one.
            ApprovalRoute::Stage(..) => &["GET", "PATCH", "PUT"],
        }
    }
}

impl fmt::Display for PimRoute {
    /// The path behind the provider.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PimRoute::Requests(of) => write!(f, "/{}ScheduleRequests", of.word()),
            PimRoute::Request(of, id) => write!(f, "/{}ScheduleRequests/{id}", of.word()),
            PimRoute::Cancel(of, id) => write!(f, "/{}ScheduleRequests/{id}/cancel", of.word()),
            PimRoute::Validate(of, id) => {
                write!(f, "/{}ScheduleRequests/{id}/validate", of.word())
            }
            PimRoute::Schedules(of) => write!(f, "/{}Schedules", of.word()),
            PimRoute::Schedule(of, id) => write!(f, "/{}Schedules/{id}", of.word()),
            PimRoute::Instances(of) => write!(f, "/{}ScheduleInstances", of.word()),
            PimRoute::Instance(of, id) => write!(f, "/{}ScheduleInstances/{id}", of.word()),
            PimRoute::Policies => f.write_str("/roleManagementPolicies"),
            PimRoute::Policy(id) => write!(f, "/roleManagementPolicies/{id}"),
            PimRoute::PolicyAssignments => f.write_str("/roleManagementPolicyAssignments"),
            PimRoute::PolicyAssignment(id) => {
                write!(f, "/roleManagementPolicyAssignments/{id}_{id}")
            }
        }
    }
}

impl fmt::Display for ApprovalRoute {
    /// The path behind the scope.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/providers/Microsoft.Authorization/roleAssignmentApprovals")?;
        match self {
            ApprovalRoute::All => Ok(()),
            ApprovalRoute::One(id) => write!(f, "/{id}"),
            ApprovalRoute::Stages(id) => write!(f, "/{id}/stages"),
            ApprovalRoute::Stage(id, stage) => write!(f, "/{id}/stages/{stage}"),
        }
    }
}

/// Which of what stands or was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PimQuery {
    /// Only those at the scope and above it.
    pub at_scope: bool,
    /// Only the caller's own, by themselves or by a group.
    pub as_target: bool,
    /// Only those that the caller asked for.
    pub as_requestor: bool,
    /// Only those that wait for the caller's word.
    pub as_approver: bool,
    /// Only those of this principal.
    pub principal: Option<Uuid>,
    /// Only those of this role.
    pub role: Option<Uuid>,
}

impl PimQuery {
    /// Reads `$filter`.
    pub fn parse(query: Option<&str>) -> Result<PimQuery, ArmError> {
        let mut wanted = PimQuery::default();
        let accepted = "atScope(), asTarget(), asRequestor(), asApprover(), principalId eq 'ID' and \
                        roleDefinitionId eq 'ID'";
        filter::read(query, accepted, |term| match term {
            Term::Call { name, value: None } => {
                let flag = match name.to_ascii_lowercase().as_str() {
                    "atscope" => &mut wanted.at_scope,
                    "astarget" => &mut wanted.as_target,
                    "asrequestor" | "ascreatedby" => &mut wanted.as_requestor,
                    "asapprover" => &mut wanted.as_approver,
                    _ => return false,
                };
                *flag = true;
                true
            }
            Term::Equals { name, value } if name.eq_ignore_ascii_case("principalId") => {
                wanted.principal = value.parse().ok();
                wanted.principal.is_some()
            }
            Term::Equals { name, value } if name.eq_ignore_ascii_case("roleDefinitionId") => {
                let id = value.rsplit('/').next().unwrap_or_default();
                wanted.role = id.parse().ok();
                wanted.role.is_some()
            }
            Term::Call { .. } | Term::Equals { .. } => false,
        })?;
        Ok(wanted)
    }
}
