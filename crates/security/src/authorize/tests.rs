use std::fmt::Write as _;

use super::*;

fn identity(role: Role, tenant: Option<&str>) -> Identity {
    Identity {
        principal: PrincipalId::user("ada").unwrap(),
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        role,
        key: "0123456789abcdef".parse().unwrap(),
    }
}

/// Rows: action and resource, as seen by an identity of tenant `acme`. A column per role: `t` when
/// the role in the tenant suffices, `i` when only the same role in the whole installation does.
fn matrix() -> String {
    let (acme, rival): (TenantId, TenantId) = ("acme".parse().unwrap(), "rival".parse().unwrap());
    let (app, environment) = ("support".parse().unwrap(), "prod".parse().unwrap());
    let resources = [
        ("installation", Resource::Installation),
        ("own tenant", Resource::Tenant(&acme)),
        ("own app", Resource::App { tenant: &acme, app: &app }),
        (
            "own environment",
            Resource::Environment { tenant: &acme, app: &app, environment: &environment },
        ),
        ("other tenant", Resource::Tenant(&rival)),
        ("other app", Resource::App { tenant: &rival, app: &app }),
        (
            "other environment",
            Resource::Environment { tenant: &rival, app: &app, environment: &environment },
        ),
    ];
    let mut table = format!("{:<18}{:<19}", "action", "resource");
    for role in Role::ALL {
        write!(table, "{role:<10}").unwrap();
    }
    for action in Action::ALL {
        for (name, resource) in &resources {
            write!(table, "\n{:<18}{name:<19}", format!("{action:?}")).unwrap();
            for role in Role::ALL {
                let allows = |tenant| authorize(&identity(role, tenant), action, resource).is_ok();
                let cell = match (allows(Some("acme")), allows(None)) {
                    (true, true) => "t",
                    (false, true) => "i",
                    (false, false) => "-",
                    (true, false) => "broken",
                };
                write!(table, "{cell:<10}").unwrap();
            }
            table.truncate(table.trim_end().len());
        }
    }
    table
}

#[test]
fn the_whole_matrix_of_roles_actions_and_resources_is_as_checked_in() {
    insta::with_settings!({ snapshot_path => ".", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("matrix", matrix());
    });
}

/// Adding an action without naming it here does not compile; without listing it, it fails.
#[test]
fn no_action_is_missing_from_the_matrix() {
    fn position(action: Action) -> usize {
        match action {
            Action::Answer => 0,
            Action::ReadTrace => 1,
            Action::ReadRelease => 2,
            Action::ReadKnowledge => 3,
            Action::ReadStatus => 4,
            Action::Apply => 5,
            Action::Promote => 6,
            Action::Rollback => 7,
            Action::ClearHold => 8,
            Action::RefreshKnowledge => 9,
            Action::ManageKeys => 10,
            Action::ManageUsers => 11,
            Action::ManageTenants => 12,
        }
    }
    let positions: Vec<_> = Action::ALL.into_iter().map(position).collect();
    assert_eq!(positions, (0..=position(Action::ManageTenants)).collect::<Vec<_>>());
    for action in Action::ALL {
        assert!(matrix().contains(&format!("\n{action:?} ")), "{action:?} is not in the matrix");
    }
}

#[test]
fn no_role_of_one_tenant_reaches_another_or_the_installation() {
    let (acme, rival) = ("acme", "rival".parse().unwrap());
    for role in Role::ALL {
        for action in Action::ALL {
            for resource in [Resource::Tenant(&rival), Resource::Installation] {
                assert!(authorize(&identity(role, Some(acme)), action, &resource).is_err());
            }
        }
    }
}

#[test]
fn an_admin_of_the_installation_may_do_everything_everywhere() {
    let acme = "acme".parse().unwrap();
    for action in Action::ALL {
        let resource = match action {
            Action::ManageTenants => Resource::Installation,
            _ => Resource::Tenant(&acme),
        };
        assert!(authorize(&identity(Role::Admin, None), action, &resource).is_ok());
    }
}

#[test]
fn a_client_may_only_ask() {
    let acme = "acme".parse().unwrap();
    for action in Action::ALL {
        let allowed =
            authorize(&identity(Role::Client, Some("acme")), action, &Resource::Tenant(&acme));
        assert_eq!(allowed.is_ok(), action == Action::Answer);
    }
}

#[test]
fn a_denial_says_who_may_not_do_what() {
    let acme = "acme".parse().unwrap();
    let denied =
        authorize(&identity(Role::Viewer, Some("acme")), Action::Promote, &Resource::Tenant(&acme));
    let message = denied.unwrap_err().to_string();
    assert_eq!(message, "`user:ada` with role `viewer` may not promote in tenant `acme`");
}
