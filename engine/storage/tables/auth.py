"""How people sign in: sessions, flows, outside identities, passkeys, second factors, roles."""

from __future__ import annotations

from sqlalchemy import Index

from engine.storage.tables.columns import (
    big,
    chars,
    fixed,
    flag,
    half,
    key,
    moment,
    note,
    sized,
    table,
    unique,
    whole,
)

user_sessions = table(
    "user_sessions",
    chars("sid", 64, primary_key=True, nullable=False),
    whole("user_id", nullable=False),
    big("version", 1, nullable=False),
    big("user_auth_version", nullable=False),
    chars("status", 16, nullable=False),
    fixed("refresh_hash", 64, nullable=False),
    chars("previous_refresh_hash", 64),
    big("previous_valid_until", 0, nullable=False),
    chars("login_method", 32, nullable=False),
    chars("ip", 64),
    note("user_agent"),
    whole("created_at"),
    big("last_active_at", nullable=False),
    big("expires_at", nullable=False),
    big("revoked_at", 0, nullable=False),
    chars("revoked_reason", 64),
    plain="expires_at",
    more=(
        Index("idx_user_sessions_status_revoked", "status", "revoked_at"),
        Index("idx_user_sessions_user_created", "user_id", "created_at"),
        Index("idx_user_sessions_user_status_expiry", "user_id", "status", "expires_at"),
    ),
)

auth_flows = table(
    "auth_flows",
    key(),
    fixed("token_hash", 64, nullable=False),
    chars("purpose", 32, nullable=False),
    chars("provider", 64),
    chars("intent", 16),
    whole("user_id"),
    chars("session_id", 64),
    note("payload"),
    moment("created_at"),
    moment("expires_at", nullable=False),
    moment("consumed_at"),
    plain="consumed_at session_id user_id",
    more=(
        Index("idx_auth_flow_purpose_expiry", "purpose", "expires_at"),
        unique("idx_auth_flows_token_hash", "token_hash"),
    ),
)

external_identity_claims = table(
    "external_identity_claims",
    key(),
    chars("provider", 32, nullable=False),
    chars("subject", 128, nullable=False),
    whole("user_id", nullable=False),
    moment("created_at"),
    plain="user_id",
    more=(
        unique("idx_external_identity_subject", "provider", "subject"),
        unique("idx_external_identity_user", "provider", "user_id"),
    ),
)

passkey_credentials = table(
    "passkey_credentials",
    key(),
    whole("user_id", nullable=False),
    chars("credential_id", 512, nullable=False),
    note("public_key", nullable=False),
    chars("attestation_type", 255),
    chars("aa_guid", 512),
    half("sign_count", 0),
    flag("clone_warning"),
    flag("user_present"),
    flag("user_verified"),
    flag("backup_eligible"),
    flag("backup_state"),
    note("transports"),
    chars("attachment", 32),
    moment("last_used_at"),
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at"),
    plain="deleted_at",
    more=(
        unique("idx_passkey_credentials_credential_id", "credential_id"),
        unique("idx_passkey_credentials_user_id", "user_id"),
    ),
)

two_fas = table(
    "two_fas",
    key(),
    whole("user_id", nullable=False, unique=True),
    chars("secret", 255, nullable=False),
    flag("is_enabled"),
    whole("failed_attempts", 0),
    moment("locked_until"),
    moment("last_used_at"),
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at"),
    plain="deleted_at user_id",
)

two_fa_backup_codes = table(
    "two_fa_backup_codes",
    key(),
    whole("user_id", nullable=False),
    chars("code_hash", 255, nullable=False),
    flag("is_used"),
    moment("used_at"),
    moment("created_at"),
    moment("deleted_at"),
    plain="deleted_at user_id",
)

custom_oauth_providers = table(
    "custom_oauth_providers",
    key(),
    chars("name", 64, nullable=False),
    chars("slug", 64, nullable=False),
    chars("icon", 128, ""),
    flag("enabled", "false"),
    chars("client_id", 256),
    chars("client_secret", 512),
    chars("authorization_endpoint", 512),
    chars("token_endpoint", 512),
    chars("user_info_endpoint", 512),
    chars("scopes", 256, "openid profile email"),
    chars("user_id_field", 128, "sub"),
    chars("username_field", 128, "preferred_username"),
    chars("display_name_field", 128, "name"),
    chars("email_field", 128, "email"),
    chars("well_known", 512),
    whole("auth_style", 0),
    note("access_policy"),
    chars("access_denied_message", 512),
    moment("created_at"),
    moment("updated_at"),
    more=(unique("idx_custom_oauth_providers_slug", "slug"),),
)

user_oauth_bindings = table(
    "user_oauth_bindings",
    key(),
    whole("user_id", nullable=False),
    whole("provider_id", nullable=False),
    chars("provider_user_id", 256, nullable=False),
    moment("created_at"),
    more=(
        unique("ux_provider_userid", "provider_id", "provider_user_id"),
        unique("ux_user_provider", "user_id", "provider_id"),
    ),
)

casbin_rule = table(
    "casbin_rule",
    key(unsigned=True),
    *(sized(name, 100) for name in ("ptype", "v0", "v1", "v2", "v3", "v4", "v5")),
    more=(
        Index("idx_casbin_rule", "ptype", "v0", "v1", "v2", "v3", "v4", "v5"),
        unique("idx_casbin_rule_unique", "ptype", "v0", "v1", "v2", "v3", "v4", "v5"),
    ),
)

authz_roles = table(
    "authz_roles",
    key(unsigned=True),
    sized("key", 64, nullable=False),
    sized("name", 100, nullable=False),
    note("description"),
    flag("built_in"),
    flag("enabled"),
    whole("sort"),
    whole("created_at"),
    whole("updated_at"),
    more=(unique("idx_authz_roles_key", "key"),),
)
