# A security group and a JIT policy on a Hourgate server, through the azapi provider.
#
# Written from the provider's documentation; not run. Before `terraform init`:
#   export SSL_CERT_FILE=/var/lib/hourgate/ca.pem
#   export ARM_CLIENT_SECRET=...        # clientSecret of admin.json

terraform {
  required_version = ">= 1.5"
  required_providers {
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.0"
    }
  }
}

variable "server" {
  description = "The server's URL, as public_url or admin.json has it, without a slash at its end"
  type        = string
  default     = "https://localhost:8443"
}

variable "tenant_id" {
  description = "tenantId of admin.json"
  type        = string
}

variable "subscription_id" {
  description = "subscriptionId of admin.json"
  type        = string
}

variable "client_id" {
  description = "clientId of admin.json"
  type        = string
}

provider "azapi" {
  environment = "public"
  endpoint = [{
    resource_manager_endpoint       = var.server
    resource_manager_audience       = var.server
    active_directory_authority_host = var.server
  }]

  tenant_id       = var.tenant_id
  subscription_id = var.subscription_id
  client_id       = var.client_id

  use_cli                    = false
  use_msi                    = false
  skip_provider_registration = true
}

locals {
  group    = "/subscriptions/${var.subscription_id}/resourceGroups/default"
  location = "local"
  web_1    = "${local.group}/providers/Microsoft.Compute/virtualMachines/web-1"
}

resource "azapi_resource" "web" {
  type      = "Microsoft.Network/networkSecurityGroups@2022-01-01"
  parent_id = local.group
  name      = "web"
  location  = local.location

  schema_validation_enabled = false
  body = {
    properties = {
      securityRules = [{
        name = "https"
        properties = {
          protocol                 = "Tcp"
          access                   = "Allow"
          direction                = "Inbound"
          priority                 = 300
          sourceAddressPrefix      = "Internet"
          sourcePortRange          = "*"
          destinationAddressPrefix = "*"
          destinationPortRange     = "443"
        }
      }]
    }
  }
}

# The policy of a location is a child of that location, which is no resource of its own.
resource "azapi_resource" "jit" {
  type      = "Microsoft.Security/locations/jitNetworkAccessPolicies@2020-01-01"
  parent_id = "${local.group}/providers/Microsoft.Security/locations/${local.location}"
  name      = "default"

  schema_validation_enabled = false
  body = {
    kind = "Basic"
    properties = {
      virtualMachines = [{
        id = local.web_1
        ports = [{
          number                     = 22
          protocol                   = "TCP"
          allowedSourceAddressPrefix = "*"
          maxRequestAccessDuration   = "PT3H"
          endSessions                = true # ours: connections end with the access
        }]
      }]
    }
  }
}
