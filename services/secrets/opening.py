"""The store that the settings name. What it needs is imported only then."""

from services.secrets.contract import SecretsRefused, SecretStore
from services.settings import Settings


def open_store(settings: Settings) -> SecretStore:
    """Nothing is asked of it yet. Raises SecretsRefused where the settings don't say enough."""
    folder = settings.home / "secrets"
    match settings.secrets:
        case "file":
            from services.secrets.file import FileStore

            return FileStore(folder, settings.secrets_key_file)
        case "env":
            from services.secrets.env import EnvStore

            return EnvStore(folder)
        case "vault":
            return _vault(settings)


def _vault(settings: Settings) -> SecretStore:
    from services.secrets.login import (
        KUBERNETES_TOKEN,
        AppRoleLogin,
        KubernetesLogin,
        Login,
        Server,
        TokenLogin,
    )
    from services.secrets.vault import VaultStore

    file = settings.vault_credential_file
    login: Login
    if settings.vault_auth != "token" and not settings.vault_role:
        raise SecretsRefused(f"GENESIS_VAULT_AUTH={settings.vault_auth} needs GENESIS_VAULT_ROLE")
    match settings.vault_auth:
        case "token":
            login = TokenLogin(file)
        case "approle":
            login = AppRoleLogin(settings.vault_role, file, settings.vault_auth_mount or "approle")
        case "kubernetes":
            login = KubernetesLogin(
                settings.vault_role, file or KUBERNETES_TOKEN, settings.vault_auth_mount or "kubernetes"
            )
    return VaultStore(
        Server.of_environment(),
        login,
        mount=settings.vault_mount,
        path=settings.vault_path,
        realm=settings.queue,
        token_role=settings.vault_token_role,
    )
