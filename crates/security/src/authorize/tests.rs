//! The whole matrix, as a table that is read in review.

use std::fmt::Write;

use super::*;

fn identity(role: Role, tenant: Option<&TenantId>) -> Identity {
    Identity {
        principal: PrincipalId::user("ada").unwrap(),
        tenant: tenant.cloned(),
        role,
        key: KeyId::for_test("k"),
    }
}

#[test]
fn the_matrix_of_roles_actions_and_resources_is_as_reviewed() {
    let (own, other): (TenantId, TenantId) = ("own".parse().unwrap(), "other".parse().unwrap());
    let mut table = String::new();
    for (scope, tenant) in [("of a tenant", Some(&own)), ("of the installation", None)] {
        writeln!(table, "a principal {scope}: own tenant / other tenant / installation\n").unwrap();
        write!(table, "{:18}", "").unwrap();
        Role::ALL.iter().for_each(|role| write!(table, "{role:>10}").unwrap());
        table.push('\n');
        for &action in Action::ALL {
            write!(table, "{:18}", format!("{action:?}")).unwrap();
            for role in Role::ALL {
                let who = identity(role, tenant);
                let resources =
                    [Resource::Tenant(&own), Resource::Tenant(&other), Resource::Installation];
                let cells = resources.map(|resource| match authorize(&who, action, resource) {
                    Ok(()) => 'y',
                    Err(_) => '-',
                });
                write!(table, "{:>10}", String::from_iter(cells)).unwrap();
            }
            table.push('\n');
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

#[test]
fn no_role_of_a_tenant_may_do_anything_to_another() {
    let (own, other): (TenantId, TenantId) = ("own".parse().unwrap(), "other".parse().unwrap());
    for role in Role::ALL {
        for &action in Action::ALL {
            let who = identity(role, Some(&own));
            assert!(
                authorize(&who, action, Resource::Tenant(&other)).is_err(),
                "{role} {action:?}"
            );
        }
    }
}
